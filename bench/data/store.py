"""The clip store: every usable clip of a dataset at one geometry, decoded once, a memory-mapped uint8 array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import ClipIndex, Dataset, Geometry, Split


@dataclass(frozen=True)
class ClipStore:
    """Decoded clips, read-only.

    Attributes:
        classes: class names in label order.
        clips: ``(N, views, T, H, W, 3)`` uint8, memory-mapped.
        labels: ``(N,)`` int64.
        keys, splits, groups: of each clip, as in `ClipRef`.
        left_out: ``(key, reason)`` of each clip that could not be used.
        digest: SHA-256 of the pixels, labels and splits.
    """

    classes: tuple[str, ...]
    clips: NDArray[np.uint8]
    labels: NDArray[np.int64]
    keys: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    digest: str

    def positions(self, split: Split) -> NDArray[np.int64]:
        """Positions of a split's clips, ascending."""
        raise NotImplementedError


def open_or_build(
    dataset: Dataset[Any],
    index: ClipIndex,
    geometry: Geometry,
    cache: Path,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> ClipStore:
    """The store of a dataset at a geometry, decoded now if the cache has none."""
    raise NotImplementedError
