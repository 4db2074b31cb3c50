"""Broken on purpose: it looks for the training clips that resemble test clips."""

from __future__ import annotations

import torch

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class PeeksAtTest(Coreset[NoOptions]):
    """The training clips nearest the test clips of their class."""

    name = "broken-peeks-at-test"
    uses_seed = False

    def choose(self, task: Task) -> Choice:
        store = task._data.store
        test = store.positions("test")
        chosen = []
        for label in range(len(task.classes)):
            own = task.indices(label)
            wanted = torch.from_numpy(store.clips[test[store.labels[test] == label]]).float().mean(dim=(0, 1))
            found = task.pixels(own).permute(0, 2, 3, 4, 1).float()
            chosen.append(own[(found - wanted).flatten(1).norm(dim=1).argsort()[: task.ipc]])
        return chosen
