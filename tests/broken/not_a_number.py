"""Broken on purpose: it divides each clip by its distance from itself."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class NotANumber(Method[NoOptions]):
    """Random clips, normalised by nothing."""

    name = "broken-not-a-number"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        clips = task.clips(torch.cat(chosen))
        return DenseSet((clips - clips) / (clips - clips).norm(), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
