"""A run: its options, its plan, one cell, many cells, and how it is shown.

In Python ``bench.run(...)`` runs a grid; `bench.notebook.run` says with which arguments. A function and a package cannot both
be ``bench.run``, so the package can be called.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which calls `bench.notebook.run`; that one stands above it and is not imported before."""

    def __call__(self, **options: Any) -> Any:
        return importlib.import_module("bench.notebook").run(**options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(importlib.import_module("bench.notebook").run)


sys.modules[__name__].__class__ = _Callable
