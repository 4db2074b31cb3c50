"""Broken on purpose: it stores one clip a class, whatever is asked."""

from __future__ import annotations

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes, random_choice


class IgnoresIpc(Method[NoOptions]):
    """One random clip a class."""

    name = "broken-ignores-ipc"

    def distill(self, task: Task) -> SyntheticSet:
        return coreset(task, [own[:1] for own in random_choice(task)])

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
