"""A benchmark suite for video dataset distillation.

From Python: ``from bench import run, table, load_results, load_set`` (docs/python.md). Nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.core.errors import BenchError
    from bench.notebook import load_results as load_results
    from bench.notebook import run as run
    from bench.notebook import table as table
    from bench.results.dataset import load_set

try:
    __version__ = version("video-distillation-bench")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"

_PLACES = {
    "run": "bench.notebook",
    "table": "bench.notebook",
    "load_results": "bench.notebook",
    "load_set": "bench.results.dataset",
    "BenchError": "bench.core.errors",
}

__all__ = ["BenchError", "__version__", "load_results", "load_set", "run", "table"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
