"""Broken on purpose: it shuffles with NumPy's global generator."""

from __future__ import annotations

import numpy as np
import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class TouchesGlobalRng(Coreset[NoOptions]):
    """Random clips, by numpy.random."""

    name = "broken-touches-global-rng"

    def choose(self, task: Task) -> Choice:
        chosen = []
        for label in range(len(task.classes)):
            own = task.indices(label)
            chosen.append(own[torch.from_numpy(np.random.permutation(len(own)))[: task.ipc]])
        return chosen
