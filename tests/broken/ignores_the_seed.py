"""Broken on purpose: it takes the first clips and says that seeds matter."""

from __future__ import annotations

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


class IgnoresTheSeed(Method[NoOptions]):
    """The first clips of each class."""

    name = "broken-ignores-the-seed"

    def distill(self, task: Task) -> SyntheticSet:
        return coreset(task, [task.indices(label)[: task.ipc] for label in range(len(task.classes))])

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
