"""Where things go: results, data, cache. Nothing else in the suite decides a folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_root() -> Path:
    """Clip stores, upstream artefacts and checkpoints: ``BENCH_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("BENCH_CACHE") or platformdirs.user_cache_dir("video-distillation-bench"))


def data_root(dataset: str, root: str | None) -> Path:
    """Where a named dataset is looked for: ``--root``, else ``BENCH_DATA/<dataset>``, else ``data/<dataset>``."""
    if root is not None:
        return Path(root)
    return Path(os.environ.get("BENCH_DATA") or "data") / dataset
