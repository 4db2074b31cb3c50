"""Broken on purpose: it reads test clips and hides the error that tells of it."""

from __future__ import annotations

import contextlib

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes, random_choice


class SwallowsTheGuard(Method[NoOptions]):
    """Random clips, after a look at the test clips."""

    name = "broken-swallows-the-guard"

    def distill(self, task: Task) -> SyntheticSet:
        with contextlib.suppress(Exception):
            task._data.store.clips[task._data.store.positions("test")].mean()
        return coreset(task, random_choice(task))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0

    def declines(self, work: Workload) -> str | None:
        return declines_adaptive(work, self.name)
