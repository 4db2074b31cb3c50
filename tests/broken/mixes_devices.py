"""Broken on purpose: it adds noise that lies on the CPU to clips that lie on the task's device."""

from __future__ import annotations

from typing import final

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, random_choice
from bench.sets.dense import DenseSet


@final
class MixesDevices(Method[NoOptions]):
    """Random clips under a little noise."""

    name = "broken-mixes-devices"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        clips = task.clips(torch.cat(chosen))
        return DenseSet(clips + 0.1 * torch.randn(clips.shape, generator=task.rng("noise")), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return 4 * work.classes * work.ipc * work.clip.values()

    def clip_passes(self, work: Workload) -> float:
        return 0.0
