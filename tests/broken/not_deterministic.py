"""Broken on purpose: it is seeded by the system."""

from __future__ import annotations

import os

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


class NotDeterministic(Method[NoOptions]):
    """Random clips, others each time."""

    name = "broken-not-deterministic"

    def distill(self, task: Task) -> SyntheticSet:
        rng = torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "little"))
        return coreset(
            task,
            [
                (own := task.indices(label))[torch.randperm(len(own), generator=rng)[: task.ipc]]
                for label in range(len(task.classes))
            ],
        )

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
