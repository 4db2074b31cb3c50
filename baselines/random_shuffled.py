"""A control of `random`: the same clips with their frames in a random order. What is the order of frames worth?"""

from __future__ import annotations

from typing import final

import torch
from typing_extensions import override

from bench.api import Footprint, Method, NoOptions, SyntheticSet, Task, Workload
from bench.core.frame_order import rearrange, shuffled_order
from bench.distill.real_start import labels_of, random_choice
from bench.sets.dense import DenseSet


@final
class RandomShuffled(Method[NoOptions]):
    """The clips that `random` chooses, the frames of each in one random order."""

    name = "random-shuffled"
    in_all = False

    @override
    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        rng = task.rng("shuffle")
        pixels = task.pixels(torch.cat(chosen)).contiguous()
        clips = [rearrange(clip[None], shuffled_order(task.clip.frames, rng)) for clip in pixels]
        return DenseSet(torch.cat(clips), labels_of(chosen))

    @override
    def stored_bytes(self, work: Workload) -> int:
        return work.classes * work.ipc * work.clip.values()

    @override
    def clip_passes(self, work: Workload) -> float:
        return 0.0

    @override
    def footprint(self, work: Workload) -> Footprint:
        return Footprint(networks=0.0)
