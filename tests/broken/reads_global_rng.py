"""Broken on purpose: it draws from the global generator and puts it back: no trace, but the set depends on it."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


class ReadsGlobalRng(Method[NoOptions]):
    """Random clips, drawn in a fork of the global generator."""

    name = "broken-reads-global-rng"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = []
        with torch.random.fork_rng(devices=[]):
            torch.randn(task.seed + 1)
            for label in range(len(task.classes)):
                own = task.indices(label)
                chosen.append(own[torch.randperm(len(own))[: task.ipc]])
        return coreset(task, chosen)

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
