"""Procedural clips with the statistics of action videos: nothing to download.

A class is known by where it is seen, by who is seen and by what they do, and by none of these for sure: ``scenes_render.py``
draws them. As in UCF101 a video is cut into several clips, which are alike; a video is a group, and is in one split only.
How hard the classes are to tell apart was set near nine classes of UCF101; docs/data.md says how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, Geometry
from bench.core.config import as_dict
from bench.core.files import canonical_json
from bench.data.sources.shapes import Clips, ShapesOptions, resized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERATOR_VERSION = 1
"""Rises whenever the same clip would have other pixels; part of the fingerprint."""

CLASSES = ("bow", "climb", "dance", "jump", "run", "stir", "swing", "throw", "wave")

CLIPS = 5
"""Clips of a video."""


@dataclass(frozen=True)
class ScenesOptions(ShapesOptions):
    """Options of ``scenes``; 18 videos of each class are for training and 7 for testing, as in UCF101."""

    train: Clips = 90
    test: Clips = 35


@final
class Scenes(Dataset[ScenesOptions]):
    """Nine actions, each in places and by actors that are typical of it more or less."""

    name: ClassVar[str] = "scenes"
    Config: ClassVar[type] = ScenesOptions

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return resized(profile, self.options)

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        identity = canonical_json([self.name, GENERATOR_VERSION, as_dict(self.options)])
        return ClipIndex(
            dataset=self.name,
            classes=CLASSES,
            clips=(*_clips("train", self.options.train), *_clips("test", self.options.test)),
            fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
            notes=("procedural; place, actor and movement tell of the class, none of them for sure",),
            mirrors=True,
        )

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        """Draws a clip: uint8 ``(views, T, H, W, 3)``, a function of seed, key and geometry alone."""
        from bench.data.sources.scenes_render import Window, draw_clip
        from bench.data.sources.scenes_video import generator, sample_video

        seed = self.options.seed
        video = sample_video(seed, CLASSES[clip.label], clip.group)
        shape = Window(geometry.views, geometry.frames, geometry.size)
        return draw_clip(video, generator(seed, "clip", clip.key), shape)


def _clips(split: Literal["train", "test"], count: int) -> Iterator[ClipRef]:
    """The clips of a split, class by class and video by video."""
    for label, name in enumerate(CLASSES):
        for number in range(count):
            video = f"{split}/{name}/g{number // CLIPS:03d}"
            yield ClipRef(f"{video}_c{number % CLIPS}", label, split, group=video)
