"""A plugin for tests: a dataset, a protocol and methods that take milliseconds, and one method that breaks as it is told."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from bench.api import (
    ClipIndex,
    ClipRef,
    Clips,
    Dataset,
    DeclaredSize,
    Evaluation,
    Geometry,
    Method,
    NoOptions,
    Profile,
    Protocol,
    Recipe,
    SyntheticSet,
    Task,
    Workload,
)
from bench.core.errors import BenchError, UnreadableClip
from bench.judging.final_epoch import FinalEpoch
from bench.sets.dense import DenseSet

TINY = Profile(
    "tiny", Geometry(4, 1, 16, 16), "convnet3d-small", "tiny", "4 frames of 16x16, for tests", "cnn-mean-small"
)

CLASSES = ("amber", "blue", "coral")


class TinyProtocol(FinalEpoch):
    """Two networks, six updates."""

    name = "tiny"
    version = 1
    networks = 2
    recipe = Recipe(epochs=6, batch=4, lr=0.05, max_updates=6)
    fit_threshold = 0.5


class TinierProtocol(FinalEpoch):
    """One network, two updates."""

    name = "tinier"
    version = 3
    networks = 1
    recipe = Recipe(epochs=2, batch=4, lr=0.05)
    fit_threshold = 0.5


class TinyNearest(Protocol):
    """No training: a test clip is of the class of the synthetic clip nearest to it."""

    name = "tiny-nearest"
    version = 1
    networks = 1
    recipe = Recipe(epochs=1, batch=4, lr=0.05)
    fit_threshold = 0.5
    frozen_training = False

    def evaluate(
        self,
        train: SyntheticSet,
        test: Clips,
        classes: int,
        build: Any,
        network: int,
        progress: Any,
        probes: Any = None,
        saved: Any = None,
    ) -> Evaluation:
        clips = train.render(torch.arange(len(train)), torch.Generator()).flatten(1)
        found = torch.cdist(test.batch(torch.arange(len(test)), 0).flatten(1).double(), clips.double()).argmin(dim=1)
        confusion = torch.zeros(classes, classes, dtype=torch.int64)
        for true, label in zip(test.labels, train.labels[found], strict=True):
            confusion[true, label] += 1
        progress(1, 1, 0.0)
        return Evaluation(network, tuple(map(tuple, confusion.tolist())), None, 1.0, True, 0.0, 1)


TINY_NEAREST = replace(TINY, name="tiny-nearest", protocol="tiny-nearest")


# ----------------------------------------------------------------------------------------------------------------------
# Data


@dataclass(frozen=True)
class TinyOptions:
    """Options of the tiny dataset.

    Attributes:
        train: training clips of the first class; each further class has one more.
        test: test clips of each class.
        views: windows per clip.
        unreadable: the first training clips of the first class, which do not decode.
        swapped: whether test clips look like the next class.
        frames: of a clip.
        size: pixels a side.
    """

    train: int = 4
    test: int = 2
    views: int = 1
    unreadable: int = 0
    swapped: bool = False
    frames: int = 4
    size: int = 16


class Tiny(Dataset[TinyOptions]):
    """Noise with a tint that is the class."""

    name = "tiny"
    Config = TinyOptions
    default_profile = "tiny"

    def geometry(self, profile: Geometry) -> Geometry:
        size = self.options.size
        return replace(profile, views=self.options.views, frames=self.options.frames, scale=size, size=size)

    def index(self, geometry: Geometry) -> ClipIndex:
        counts = {"train": [self.options.train + label for label in range(3)], "test": [self.options.test] * 3}
        clips = [
            ClipRef(f"{split}/{name}/{number}", label, split, f"{split}/{name}/{number}")
            for split in ("train", "test")
            for label, name in enumerate(CLASSES)
            for number in range(counts[split][label])
        ]
        return ClipIndex(
            self.name,
            CLASSES,
            tuple(clips),
            f"tiny-{self.options.train}-{self.options.test}-{self.options.unreadable}"
            + "-swapped" * self.options.swapped,
            ("a note",),
        )

    def read(self, clip: ClipRef, geometry: Geometry) -> Any:
        if clip.split == "train" and clip.label == 0 and int(clip.key.rpartition("/")[2]) < self.options.unreadable:
            raise UnreadableClip("broken on purpose")
        rng = np.random.default_rng(list(clip.key.encode()))
        shape = (geometry.views, geometry.frames, geometry.size, geometry.size, 3)
        pixels = rng.integers(0, 160, shape, np.uint8)
        pixels[..., (clip.label + (self.options.swapped and clip.split == "test")) % 3] += 90
        return pixels


class TinyJudgedByDistance(Tiny):
    """The tiny dataset, judged without training."""

    name = "tiny-nearest"
    default_profile = "tiny-nearest"


class TinyDeclared(Tiny):
    """The tiny dataset, of a size that is known in advance."""

    name = "tiny-declared"

    def declared(self) -> DeclaredSize:
        return DeclaredSize(3, 9, 6)


# ----------------------------------------------------------------------------------------------------------------------
# Methods


class TinyNoise(Method[NoOptions]):
    """Noise."""

    name = "tiny-noise"

    def distill(self, task: Task) -> SyntheticSet:
        return noise(task)

    def stored_bytes(self, work: Workload) -> int:
        return 4 * work.classes * work.ipc * work.clip.values()

    def clip_passes(self, work: Workload) -> float:
        return 0.0


@dataclass(frozen=True)
class WalkConfig:
    """How far to walk."""

    steps: int = 6


class TinyWalk(Method[WalkConfig]):
    """Noise that moves each step; ``TINY_PAUSE`` (seconds) makes a step as slow as a test wants."""

    name = "tiny-walk"
    Config = WalkConfig

    def distill(self, task: Task) -> SyntheticSet:
        synthetic = noise(task)
        start = 0
        if (kept := task.resume()) is not None:
            start = kept[0]
            synthetic.clips.copy_(kept[1]["clips"])
            task.log(f"resumed after step {start}")
        for step in range(start, self.config.steps):
            synthetic.clips.add_(torch.randn(synthetic.clips.shape, generator=task.rng("walk", step)))
            time.sleep(float(os.environ.get("TINY_PAUSE", "0")))
            task.progress(step + 1, self.config.steps, loss=float(synthetic.clips.square().mean()))
            task.checkpoint(step + 1, synthetic.tensors)
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        return 4 * work.classes * work.ipc * work.clip.values()

    def clip_passes(self, work: Workload) -> float:
        return float(self.config.steps)

    def declines(self, work: Workload) -> str | None:
        return None if work.setting.segments == 1 else "tiny-walk cannot cut clips"


@dataclass(frozen=True)
class StepConfig:
    """How long the step is.

    Attributes:
        lr: 1 is right; much less leaves the noise, more shoots over.
        most: a longer step is refused.
    """

    lr: float = 0.1
    most: float = 1e300

    def __post_init__(self) -> None:
        if self.lr > self.most:
            raise ValueError(f"lr must be at most {self.most:g}")


class TinyStep(Method[StepConfig]):
    """Loud noise, then one gradient step towards the mean clip of the class, down half the squared distance."""

    name = "tiny-step"
    Config = StepConfig
    tuned = ("lr",)

    def distill(self, task: Task) -> SyntheticSet:
        synthetic = noise(task)
        means = torch.stack([task.clips(task.indices(label)).mean(dim=0) for label in range(len(task.classes))])
        start = 20 * synthetic.clips
        step = self.config.lr * (start - means[synthetic.labels])
        synthetic.clips.copy_(start - step)
        task.progress(1, 1, loss=float(step.square().mean()))
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        return 4 * work.classes * work.ipc * work.clip.values()

    def clip_passes(self, work: Workload) -> float:
        return float(work.train)


How = Literal[
    "value", "bench", "memory", "torch", "allocator", "exit", "nothing", "empty", "shape", "dtype", "many", "label",
    "label-dtype", "label-counts", "label-name", "columns", "nan", "nan-label", "kill", "late", "interrupt",
]  # fmt: skip


class Named(SyntheticSet):
    """Stores its clips under the name of the labels."""

    name = "tiny-named"

    def __init__(self, clips: torch.Tensor, labels: torch.Tensor) -> None:
        self.clips, self.labels = clips, labels

    @classmethod
    def restore(cls, tensors, labels, options):
        return cls(tensors["labels"], labels)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"labels": self.clips}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.clips[index]


@dataclass(frozen=True)
class BrokenConfig:
    """How to break."""

    how: How = "value"


class TinyBroken(Method[BrokenConfig]):
    """Breaks as it is told."""

    name = "tiny-broken"
    Config = BrokenConfig

    def distill(self, task: Task) -> SyntheticSet:
        raising: dict[str, BaseException] = {
            "value": ValueError("two\nlines"),
            "bench": BenchError("no such thing"),
            "memory": MemoryError(),
            "torch": torch.OutOfMemoryError("CUDA out of memory"),
            "allocator": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
            "interrupt": KeyboardInterrupt(),
        }
        how = self.config.how
        if how in raising:
            raise raising[how]
        if how == "exit":
            sys.exit(0)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "late":
            time.sleep(0.05)
            task.checkpoint(1, dict)
        if how == "nothing":
            return None  # type: ignore[return-value]
        clips, labels = noise(task).clips, noise(task).labels
        if how == "empty":
            return DenseSet(clips[:0], labels[:0])
        if how == "shape":
            return DenseSet(clips[:, :, :-1], labels)
        if how == "dtype":
            return DenseSet(clips.double(), labels)
        if how == "many":
            return DenseSet(clips.repeat(2, 1, 1, 1, 1), labels.repeat(2))
        if how == "label":
            return DenseSet(clips, labels + 1)
        if how == "label-dtype":
            return DenseSet(clips, labels.int())
        if how == "label-counts":
            return DenseSet(clips, torch.ones(len(clips), 3, dtype=torch.int64))
        if how == "label-name":
            return Named(clips, labels)
        if how == "columns":
            return DenseSet(clips, torch.zeros(len(clips), 2))
        if how == "nan":
            clips[0, 0, 0, 0, 0] = torch.nan
        if how == "nan-label":
            return DenseSet(clips, torch.full((len(clips), 3), torch.nan))
        return DenseSet(clips, labels)

    def stored_bytes(self, work: Workload) -> int:
        return 0

    def clip_passes(self, work: Workload) -> float:
        return 0.0


def noise(task: Task) -> DenseSet:
    """A dense set of noise, IPC clips a class."""
    labels = torch.arange(len(task.classes)).repeat_interleave(task.ipc)
    return DenseSet(torch.randn(len(labels), *task.clip.dims(), generator=task.rng("noise")), labels)
