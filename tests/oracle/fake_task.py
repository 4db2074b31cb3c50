"""A task over a few random clips in memory, for oracles: everything a method may ask, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.api import Artefact, ClipShape, Metric, SyntheticSet, Task, Upstream
from bench.core import temporal
from bench.core.classifier import Classifier
from bench.core.rng import generator
from bench.nets.convnet2d import FrameConvNet
from bench.nets.convnet3d import SmallConvNet3D


class InMemory(Artefact):
    """Parts that were just made."""

    def __init__(self, parts: list[dict[str, torch.Tensor]]) -> None:
        self.parts = parts

    def part(self, number: int) -> dict[str, torch.Tensor]:
        return self.parts[number]

    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        return self.parts[number][name][rows]


class FakeTask(Task):
    """A random pattern a class, each clip with noise of its own, in the order of the classes."""

    def __init__(self, classes: int, per_class: int, ipc: int, dtype: torch.dtype = torch.float32) -> None:
        self.classes = tuple(f"class {label}" for label in range(classes))
        self.clip = ClipShape(3, 4, 16, 16)
        self.ipc = ipc
        self.budget: int | None = None
        self.setting = temporal.dense(4)
        self.device = torch.device("cpu")
        self.seed = 0
        self.dtype = dtype
        self.per_class = per_class
        rng = generator("fake")
        patterns = torch.randn(classes, *self.clip.dims(), generator=rng).repeat_interleave(per_class, dim=0)
        self.data = (patterns + 0.5 * torch.randn(patterns.shape, generator=rng)).to(dtype)
        self.metrics: list[dict[str, Metric]] = []

    def indices(self, label: int) -> torch.Tensor:
        return torch.arange(label * self.per_class, (label + 1) * self.per_class)

    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        if frame is not None:
            return self.data[index, :, frame].unsqueeze(2)
        return self.data[index].clone()

    def views(self) -> int:
        return 1

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        return (self.data[index] * 50 + 100).clamp(0, 255).to(torch.uint8)

    def training_batch(self, clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return clips

    def real_set(self) -> SyntheticSet:
        raise AssertionError("not needed here")

    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        return SmallConvNet3D(len(self.classes), clip or self.clip, rng).to(self.dtype)

    def frame_network(self, rng: torch.Generator) -> FrameConvNet:
        return FrameConvNet(len(self.classes), ClipShape(3, 1, 16, 16), 8, rng).to(self.dtype)

    def upstream(self, what: Upstream) -> Artefact:
        return InMemory([dict(what.make(self, part)) for part in range(what.parts)])

    def trained_network(self) -> Classifier:
        return self.network(generator("trained")).eval()

    def rng(self, name: str, step: int = 0) -> torch.Generator:
        return generator("fake task", self.seed, name, step)

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        state()

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        return None

    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        self.metrics += [metrics] if "loss" in metrics else []

    @property
    def losses(self) -> list[float]:
        return [float(metrics["loss"]) for metrics in self.metrics]

    def log(self, message: str) -> None:
        pass
