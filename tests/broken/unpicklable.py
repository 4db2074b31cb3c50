"""Broken on purpose: it keeps a lambda."""

from __future__ import annotations

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes, random_choice


class Unpicklable(Method[NoOptions]):
    """Random clips, chosen by a lambda."""

    name = "broken-unpicklable"

    def __init__(self, config: NoOptions) -> None:
        super().__init__(config)
        self.choose = lambda task: random_choice(task)

    def distill(self, task: Task) -> SyntheticSet:
        return coreset(task, self.choose(task))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
