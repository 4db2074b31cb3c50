"""Where things go: results, data, cache. Nothing else in the suite decides a folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from bench.core.errors import BenchError
from bench.core.text import parse_bytes

CACHE_LIMIT = 32 << 30
"""Bytes that upstream artefacts may take in all, unless ``BENCH_CACHE_LIMIT`` says otherwise."""


def cache_root() -> Path:
    """Clip stores, upstream artefacts and checkpoints: ``BENCH_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("BENCH_CACHE") or platformdirs.user_cache_dir("video-distillation-bench"))


def data_root(dataset: str, root: str | None) -> Path:
    """Where a named dataset is looked for: ``--root``, else ``BENCH_DATA/<dataset>``, else ``data/<dataset>``."""
    if root is not None:
        return Path(root)
    return Path(os.environ.get("BENCH_DATA") or "data") / dataset


def shipped(name: str) -> Path:
    """A file or folder that comes with the suite: inside an installed package, beside it in a source tree."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.exists() else package.parent / name


def cache_limit() -> int:
    """Bytes that upstream artefacts may take in all: ``BENCH_CACHE_LIMIT``, such as ``8GiB``, or `CACHE_LIMIT`."""
    text = os.environ.get("BENCH_CACHE_LIMIT")
    if not text:
        return CACHE_LIMIT
    try:
        return parse_bytes(text)
    except BenchError as error:
        raise BenchError(f"BENCH_CACHE_LIMIT{str(error).removeprefix('--budget')}") from error
