"""Broken on purpose: it takes the first clips and says that seeds matter."""

from __future__ import annotations

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class IgnoresTheSeed(Coreset[NoOptions]):
    """The first clips of each class."""

    name = "broken-ignores-the-seed"

    def choose(self, task: Task) -> Choice:
        return [task.indices(label)[: task.ipc] for label in range(len(task.classes))]
