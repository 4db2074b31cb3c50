"""Broken on purpose: it stores noise."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes
from bench.sets.dense import DenseSet


class IgnoresTheClips(Method[NoOptions]):
    """Noise, whatever the clips are."""

    name = "broken-ignores-the-clips"

    def distill(self, task: Task) -> SyntheticSet:
        labels = torch.arange(len(task.classes)).repeat_interleave(task.ipc)
        return DenseSet(torch.randn(len(labels), *task.clip.dims(), generator=task.rng("noise")), labels)

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
