"""The mean of some random clips of each class: the simplest set that no single real clip could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes
from bench.sets.dense import DenseSet
from distill_example._draw import drawn


@dataclass(frozen=True)
class MeanClipConfig:
    """How many clips each mean is over."""

    over: int = 5


@final
class MeanClip(Method[MeanClipConfig]):
    """IPC means of random real clips a class."""

    name = "mean-clip"
    Config = MeanClipConfig

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        rng = task.rng("means")
        labels = torch.arange(len(task.classes)).repeat_interleave(task.ipc)
        clips = [drawn(task, int(label), self.config.over, rng).mean(dim=0) for label in labels]
        return DenseSet(torch.stack(clips), labels)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return 0.0
