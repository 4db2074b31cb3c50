"""Broken on purpose: every clip gets the label of the next class."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class WrongLabels(Method[NoOptions]):
    """Random clips, labelled one too high."""

    name = "broken-wrong-labels"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DenseSet(task.pixels(torch.cat(chosen)).contiguous(), (labels_of(chosen) + 1) % len(task.classes))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
