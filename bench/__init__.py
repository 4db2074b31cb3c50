"""A benchmark suite for video dataset distillation.

From Python: ``from bench import run, table, load_results, load_set`` (docs/python.md). Nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
import os

TYPE_CHECKING = False  # `typing` may be a file of the current folder, which is still on the search path

if TYPE_CHECKING:
    from typing import Any

    from bench.core.errors import BenchError
    from bench.core.version import __version__
    from bench.notebook import load_results, run, table
    from bench.results.dataset import load_set

_FOLDER = os.path.dirname(__file__)
if not os.path.isdir(os.path.join(_FOLDER, "methods")):
    # A source tree: `bench.methods` and `bench.baselines` lie beside this folder. An installed package has them inside.
    __path__.append(os.path.dirname(_FOLDER))

_PLACES = {
    "BenchError": "bench.core.errors",
    "__version__": "bench.core.version",
    "load_results": "bench.notebook",
    "load_set": "bench.results.dataset",
    "run": "bench.notebook",
    "table": "bench.notebook",
}

__all__ = ["BenchError", "__version__", "load_results", "load_set", "run", "table"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
