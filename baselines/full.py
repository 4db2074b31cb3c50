"""All real training clips: the upper reference, and the denominator of every share."""

from __future__ import annotations

from typing import final

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload


@final
class Full(Method[NoOptions]):
    """All real training clips: the upper reference."""

    name = "full"
    uses_ipc = False
    uses_seed = False

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return task.real_set()

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return work.train * work.views * work.clip.values()

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return 0.0

    def declines(self, work: Workload) -> str | None:
        """Never: it does not depend on the setting."""
        return None
