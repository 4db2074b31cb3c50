"""Broken on purpose: it draws from all classes together."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes
from bench.sets.dense import DenseSet


class UnbalancedLabels(Method[NoOptions]):
    """Random clips of any class."""

    name = "broken-unbalanced-labels"

    def distill(self, task: Task) -> SyntheticSet:
        labels = torch.cat([torch.full((len(task.indices(label)),), label) for label in range(len(task.classes))])
        clips = torch.cat([task.indices(label) for label in range(len(task.classes))])
        kept = torch.randperm(len(clips), generator=task.rng("choice"))[: task.ipc * len(task.classes)]
        return DenseSet(task.pixels(clips[kept]).contiguous(), labels[kept])

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
