"""Broken on purpose: it shuffles with NumPy's global generator."""

from __future__ import annotations

import numpy as np
import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


class TouchesGlobalRng(Method[NoOptions]):
    """Random clips, by numpy.random."""

    name = "broken-touches-global-rng"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = []
        for label in range(len(task.classes)):
            own = task.indices(label)
            chosen.append(own[torch.from_numpy(np.random.permutation(len(own)))[: task.ipc]])
        return coreset(task, chosen)

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
