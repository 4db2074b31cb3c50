"""Broken on purpose: stored_bytes() counts a byte a number, float32 is stored."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class PlansTooFewBytes(Method[NoOptions]):
    """Random clips as float32 that plan as bytes."""

    name = "broken-plans-too-few-bytes"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DenseSet(task.clips(torch.cat(chosen)).contiguous(), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
