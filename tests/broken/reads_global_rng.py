"""Broken on purpose: it draws from the global generator and puts it back: no trace, but the set depends on it."""

from __future__ import annotations

import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class ReadsGlobalRng(Coreset[NoOptions]):
    """Random clips, drawn in a fork of the global generator."""

    name = "broken-reads-global-rng"

    def choose(self, task: Task) -> Choice:
        chosen = []
        with torch.random.fork_rng(devices=[]):
            torch.randn(task.seed + 1)
            for label in range(len(task.classes)):
                own = task.indices(label)
                chosen.append(own[torch.randperm(len(own))[: task.ipc]])
        return chosen
