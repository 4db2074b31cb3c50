"""A task over random clips in memory that keeps upstream artefacts, so that only a method's own steps are measured."""

from __future__ import annotations

import torch

from bench.api import Artefact, ClipShape, Network, Upstream
from bench.core import temporal
from bench.core.classifier import Classifier
from bench.core.upload import upload
from bench.data.pixels import normalise
from bench.nets.convnet2d import FrameConvNet
from bench.nets.layers import build_on
from tests.oracle.fake_task import FakeTask


class BenchTask(FakeTask):
    """Real clips are kept as uint8 pixels, channels last, and normalised as they are asked for, as in a clip store."""

    def __init__(
        self,
        classes: int,
        per_class: int,
        ipc: int,
        clip: ClipShape,
        kind: Network | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(classes, 1, ipc)
        self.kind = kind
        self.device = device or torch.device("cpu")
        self.per_class = per_class
        self.clip = clip
        self.setting = temporal.dense(clip.frames)
        shape = (classes * per_class, clip.frames, clip.height, clip.width, clip.channels)
        drawn = torch.Generator(self.device).manual_seed(0)
        self.stored = torch.randint(0, 256, shape, dtype=torch.uint8, generator=drawn, device=self.device)
        self.made: dict[str, Artefact] = {}

    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        chosen = self.pixels(index)
        if frame is None:
            return normalise(chosen)
        clip = torch.arange(len(index), device=self.device)
        return normalise(chosen[clip, :, upload(frame, self.device)].unsqueeze(2))

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        return self.stored.index_select(0, upload(index, self.device)).permute(0, 4, 1, 2, 3)

    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        if self.kind is None:
            return super().network(rng, clip).to(self.device)
        return build_on(self.device, self.kind, len(self.classes), clip or self.clip, rng)

    def frame_network(self, rng: torch.Generator) -> FrameConvNet:
        image = ClipShape(self.clip.channels, 1, self.clip.height, self.clip.width)
        return FrameConvNet(len(self.classes), image, 32, rng).to(self.device)

    def upstream(self, what: Upstream) -> Artefact:
        if what.name not in self.made:
            self.made[what.name] = super().upstream(what)
        return self.made[what.name]
