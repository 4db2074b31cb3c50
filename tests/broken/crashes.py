"""Broken on purpose: it raises."""

from __future__ import annotations

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import declines_adaptive, pixel_bytes


class Crashes(Method[NoOptions]):
    """Nothing at all."""

    name = "broken-crashes"

    def distill(self, task: Task) -> SyntheticSet:
        raise ZeroDivisionError("no such luck")

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
