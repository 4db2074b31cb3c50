"""Sets made of real clips: which ones, and what of them is stored."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

from bench.api import SyntheticSet, Task, Workload
from bench.core.upload import upload
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet, stored_frames

Initial = Literal["real", "noise"]

Choice: TypeAlias = "list[torch.Tensor]"
"""For each class, in order, the positions of the training clips that are taken."""


def random_choice(task: Task) -> Choice:
    """IPC random training clips of each class (all of a class that has fewer).

    The draw is that of `task.rng("choice")`, so the `random` baseline stores exactly the clips that learned methods of the
    same distillation seed start from: their difference is what learning added.
    """
    rng = task.rng("choice")
    chosen = []
    for label in range(len(task.classes)):
        own = task.indices(label)
        chosen.append(own[torch.randperm(len(own), generator=rng)[: task.ipc]])
    return chosen


def labels_of(chosen: Choice) -> torch.Tensor:
    """``(N,)`` int64 labels of a choice per class."""
    return torch.cat([torch.full((len(index),), label) for label, index in enumerate(chosen)])


def coreset(task: Task, chosen: Choice) -> SyntheticSet:
    """A set of the chosen clips as they were decoded, uint8, middle window: the frames that the temporal setting stores."""
    return _as_set(task, task.pixels(torch.cat(chosen)), chosen)


def real_initialisation(task: Task) -> SyntheticSet:
    """A set that starts from random real clips, in network units, ready to be learned: the frames that the setting stores."""
    chosen = random_choice(task)
    return _as_set(task, task.clips(torch.cat(chosen)), chosen)


def noise_initialisation(task: Task, part: int = 0) -> SyntheticSet:
    """As many clips a class as `real_initialisation`, of standard normal noise in network units; each ``part`` has its own."""
    chosen = random_choice(task)
    shape = (sum(map(len, chosen)), *task.clip.dims())
    return _as_set(task, upload(torch.randn(shape, generator=task.rng("noise", part)), task.device), chosen)


def initialisation(task: Task, start: Initial, part: int = 0) -> SyntheticSet:
    """`real_initialisation` or `noise_initialisation`."""
    return noise_initialisation(task, part) if start == "noise" else real_initialisation(task)


def _as_set(task: Task, clips: torch.Tensor, chosen: Choice) -> SyntheticSet:
    setting, frames = task.setting, task.clip.frames
    if setting.n_syn == frames or setting.interpolation == "adaptive":
        return DenseSet(clips.contiguous(), labels_of(chosen))
    stored = stored_frames(clips, setting.n_syn, setting.interpolation, setting.segments).contiguous()
    return KeyframeSet(stored, labels_of(chosen), frames, setting.interpolation, setting.segments)


def pixel_bytes(work: Workload, each: int) -> int:
    """Bytes of the stored frames of IPC clips a class, ``each`` bytes a number; where learning places them, the most."""
    clips = work.classes * work.ipc
    if work.setting.interpolation == "adaptive":
        return each * clips * work.clip.values() + clips * work.clip.frames  # a byte a frame says whether it is stored
    return each * clips * work.clip.values() // work.clip.frames * work.setting.n_syn
