"""Broken on purpose: time stands before channels."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class WrongShape(Method[NoOptions]):
    """Random clips, frames first."""

    name = "broken-wrong-shape"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DenseSet(task.clips(torch.cat(chosen)).transpose(1, 2).contiguous(), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
