"""Sets made of real clips: which ones, and what of them is stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.api import Task, Workload
from bench.synthetic.dense import DenseSet


def random_choice(task: Task) -> list[torch.Tensor]:
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


def labels_of(chosen: Sequence[torch.Tensor]) -> torch.Tensor:
    """``(N,)`` int64 labels of a choice per class."""
    return torch.cat([torch.full((len(index),), label) for label, index in enumerate(chosen)])


def coreset(task: Task, chosen: Sequence[torch.Tensor]) -> DenseSet:
    """A set of the chosen clips as they were decoded: uint8, middle window."""
    return DenseSet(task.pixels(torch.cat(list(chosen))).contiguous(), labels_of(chosen))


def real_initialisation(task: Task) -> DenseSet:
    """A set that starts from random real clips, in network units, ready to be learned."""
    chosen = random_choice(task)
    return DenseSet(task.clips(torch.cat(chosen)).contiguous(), labels_of(chosen))


def dense_bytes(work: Workload) -> int:
    """Bytes of whole learned clips, float32."""
    return 4 * work.classes * work.ipc * work.clip.values()
