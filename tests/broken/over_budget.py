"""Broken on purpose: it is to fill a budget in bytes, and stores all that there is."""

from __future__ import annotations

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes, random_choice


class OverBudget(Method[NoOptions]):
    """All clips up to IPC, whatever the budget."""

    name = "broken-over-budget"
    fills_budget = True

    def distill(self, task: Task) -> SyntheticSet:
        return coreset(task, random_choice(task))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
