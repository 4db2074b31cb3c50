"""Bars that drift up, down, or stand still: a procedural dataset."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from bench.api import ClipIndex, ClipRef, Count, Dataset, Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES = ("down", "still", "up")


@dataclass(frozen=True)
class BarsOptions:
    """Clips per class, written behind the name: ``bars[train=50]``."""

    train: Count = 20
    test: Count = 10


@final
class Bars(Dataset[BarsOptions]):
    """Horizontal bars that drift up, down, or stand still."""

    name = "bars"
    Config = BarsOptions

    def geometry(self, profile: Geometry) -> Geometry:
        """The profile's."""
        return profile

    def index(self, geometry: Geometry) -> ClipIndex:
        """All clips, before any is drawn."""
        counts = {"train": self.options.train, "test": self.options.test}
        clips = tuple(
            ClipRef(key := f"{split}/{name}/{number}", label, split, group=key)  # type: ignore[arg-type]
            for split, count in counts.items()
            for label, name in enumerate(CLASSES)
            for number in range(count)
        )
        # Whatever changes a pixel must change the fingerprint: it is part of every cell's identity.
        return ClipIndex(self.name, CLASSES, clips, fingerprint=f"bars 1, {counts}")

    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        """One clip, uint8 ``(views, T, H, W, 3)``: a function of its key and the geometry alone."""
        import numpy as np  # here, so that lists and plans do not load it

        rng = np.random.default_rng(zlib.crc32(clip.key.encode()))
        drift = (clip.label - 1) * rng.uniform(0.05, 0.1)
        time = np.arange(geometry.views * geometry.frames).reshape(geometry.views, geometry.frames, 1, 1, 1)
        row = np.arange(geometry.size).reshape(1, 1, -1, 1, 1) / geometry.size
        wave = np.sin(2 * np.pi * (2 * row + drift * time + rng.uniform()))
        shape = (geometry.views, geometry.frames, geometry.size, geometry.size, 3)
        noise = rng.normal(0, 10, shape)
        pixels: NDArray[np.uint8] = np.clip(128 + 80 * wave + noise, 0, 255).astype(np.uint8)
        return pixels
