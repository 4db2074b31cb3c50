"""Broken on purpose: labels are int32."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class WrongLabelType(Method[NoOptions]):
    """Random clips with short labels."""

    name = "broken-wrong-label-type"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DenseSet(task.pixels(torch.cat(chosen)).contiguous(), labels_of(chosen).int())

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
