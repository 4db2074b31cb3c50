"""A control of `random`: of each clip that it chooses one frame alone is stored, 1/T of the bytes. What are looks worth?"""

from __future__ import annotations

from typing import final

import torch
from typing_extensions import override

from bench.api import Footprint, Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, random_choice
from bench.sets.keyframes import KeyframeSet


@final
class RandomFrozen(Method[NoOptions]):
    """The middle frame of each clip that `random` chooses, shown all the time."""

    name = "random-frozen"
    in_all = False

    @override
    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        middle = task.clip.frames // 2
        frames = task.pixels(torch.cat(chosen))[:, :, middle : middle + 1].contiguous()
        return KeyframeSet(frames, labels_of(chosen), task.clip.frames, "nearest")

    @override
    def stored_bytes(self, work: Workload) -> int:
        return work.classes * work.ipc * work.clip.values() // work.clip.frames

    @override
    def clip_passes(self, work: Workload) -> float:
        return 0.0

    @override
    def footprint(self, work: Workload) -> Footprint:
        return Footprint(networks=0.0)

    @override
    def declines(self, work: Workload) -> str | None:
        if work.setting.is_dense(work.clip.frames):
            return None
        return f"{self.name} is a control of whole clips; it stands in the setting dense"
