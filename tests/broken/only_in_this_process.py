"""Broken on purpose: it depends on the process that it runs in."""

from __future__ import annotations

import os

import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class OnlyInThisProcess(Coreset[NoOptions]):
    """Random clips, by the number of the process."""

    name = "broken-only-in-this-process"

    def choose(self, task: Task) -> Choice:
        rng = task.rng("choice", os.getpid())
        return [
            (own := task.indices(label))[torch.randperm(len(own), generator=rng)[: task.ipc]]
            for label in range(len(task.classes))
        ]
