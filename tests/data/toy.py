"""A toy dataset whose clips misbehave on demand, importable by worker processes."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.api import ClipIndex, ClipRef, Dataset, Geometry, NoOptions
from bench.core import lazy
from bench.core.errors import UnreadableClip

GEOMETRY = Geometry(frames=2, gap=1, scale=4, size=4, views=2)


class Toy(Dataset[NoOptions]):
    """A clip's pixels follow from its key; what is in the key happens when it is read.

    ``broken`` is unreadable, ``crash`` kills the process, ``shape`` has another shape, ``slow`` takes a tenth of a second,
    ``torch`` is white if torch is loaded and black if not. Every reading leaves a line in the file ``reads`` of the root.
    """

    name: ClassVar[str] = "toy"

    def geometry(self, profile: Geometry) -> Geometry:
        return profile

    def index(self, geometry: Geometry) -> ClipIndex:
        raise NotImplementedError("tests make their own")

    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        if self.root:
            with Path(self.root, "reads").open("a", encoding="utf-8") as file:
                file.write(f"{clip.key}\n")
        if "broken" in clip.key:
            raise UnreadableClip("it is broken")
        if "crash" in clip.key:
            os.kill(os.getpid(), signal.SIGKILL)
        if "slow" in clip.key:
            time.sleep(0.1)
        if "shape" in clip.key:
            return np.zeros((1, 1, 1, 1, 3), np.uint8)
        if "torch" in clip.key:
            return np.full((2, 2, 4, 4, 3), 255 * lazy.is_loaded("torch"), np.uint8)
        return pixels(clip.key)


def toy(root: Path | str = "") -> Toy:
    """The dataset."""
    return Toy(NoOptions(), str(root))


def pixels(key: str) -> NDArray[np.uint8]:
    """What a clip of that name shows: uint8 ``(2, 2, 4, 4, 3)``."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).integers(0, 256, (2, 2, 4, 4, 3), np.uint8)


def index(*keys: str, classes: int = 2, test_every: int = 4) -> ClipIndex:
    """Clips with these keys; labels alternate, every fourth pair is for testing, two clips make a group."""
    clips = tuple(
        ClipRef(key, i % classes, "test" if i // classes % test_every == test_every - 1 else "train", f"g{i // 4}")
        for i, key in enumerate(keys)
    )
    names = tuple(f"class{label}" for label in range(classes))
    return ClipIndex("toy", names, clips, hashlib.sha256(repr((names, clips)).encode()).hexdigest())


def plain(count: int) -> list[str]:
    """Keys of well-behaved clips."""
    return [f"clip{i:03d}" for i in range(count)]
