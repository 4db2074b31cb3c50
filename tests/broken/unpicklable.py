"""Broken on purpose: it keeps a lambda."""

from __future__ import annotations

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice, random_choice


class Unpicklable(Coreset[NoOptions]):
    """Random clips, chosen by a lambda."""

    name = "broken-unpicklable"

    def __init__(self, config: NoOptions) -> None:
        super().__init__(config)
        self.rule = lambda task: random_choice(task)

    def choose(self, task: Task) -> Choice:
        return self.rule(task)
