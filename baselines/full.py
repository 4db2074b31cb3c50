"""All real training clips: the upper reference, and the denominator of every share."""

from __future__ import annotations

from typing import final

from typing_extensions import override

from bench.api import Footprint, Method, NoOptions, SyntheticSet, Task, Workload


@final
class Full(Method[NoOptions]):
    """All real training clips: the upper reference."""

    name = "full"
    uses_ipc = False
    uses_seed = False

    @override
    def distill(self, task: Task) -> SyntheticSet:
        return task.real_set()

    @override
    def stored_bytes(self, work: Workload) -> int:
        return work.train * work.views * work.clip.values()

    @override
    def clip_passes(self, work: Workload) -> float:
        return 0.0

    @override
    def footprint(self, work: Workload) -> Footprint:
        return Footprint(networks=0.0)

    @override
    def declines(self, work: Workload) -> str | None:  # it does not depend on the setting
        return None
