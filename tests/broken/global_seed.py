"""Broken on purpose: it seeds the global generator."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


class GlobalSeed(Method[NoOptions]):
    """Random clips, by torch.manual_seed."""

    name = "broken-global-seed"

    def distill(self, task: Task) -> SyntheticSet:
        torch.manual_seed(task.seed)
        return coreset(
            task,
            [(own := task.indices(label))[torch.randperm(len(own))[: task.ipc]] for label in range(len(task.classes))],
        )

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
