"""Broken on purpose: it seeds the global generator."""

from __future__ import annotations

import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class GlobalSeed(Coreset[NoOptions]):
    """Random clips, by torch.manual_seed."""

    name = "broken-global-seed"

    def choose(self, task: Task) -> Choice:
        torch.manual_seed(task.seed)
        return [
            (own := task.indices(label))[torch.randperm(len(own))[: task.ipc]] for label in range(len(task.classes))
        ]
