"""Broken on purpose: it is seeded by the system."""

from __future__ import annotations

import os

import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class NotDeterministic(Coreset[NoOptions]):
    """Random clips, others each time."""

    name = "broken-not-deterministic"

    def choose(self, task: Task) -> Choice:
        rng = torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "little"))
        return [
            (own := task.indices(label))[torch.randperm(len(own), generator=rng)[: task.ipc]]
            for label in range(len(task.classes))
        ]
