"""Broken on purpose: it is to fill a budget in bytes, and stores all that there is."""

from __future__ import annotations

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice, random_choice


class OverBudget(Coreset[NoOptions]):
    """All clips up to IPC, whatever the budget."""

    name = "broken-over-budget"
    fills_budget = True

    def choose(self, task: Task) -> Choice:
        return random_choice(task)
