"""Random coreset: IPC training clips of each class, drawn at random. The floor that every method must beat."""

from __future__ import annotations

from typing import final

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes, random_choice


@final
class Random(Method[NoOptions]):
    """IPC random real clips a class."""

    name = "random"

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return coreset(task, random_choice(task))

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return 0.0

    def declines(self, work: Workload) -> str | None:
        """Only what would have to be learned."""
        return declines_adaptive(work, self.name)
