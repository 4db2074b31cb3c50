"""Broken on purpose: it declines settings without a word."""

from __future__ import annotations

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice
from bench.sets.dense import DenseSet


class DeclinesWithoutReason(Method[NoOptions]):
    """Random whole clips."""

    name = "broken-declines-without-reason"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DenseSet(task.pixels(torch.cat(chosen)).contiguous(), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return None if work.setting.is_dense(work.clip.frames) else ""
