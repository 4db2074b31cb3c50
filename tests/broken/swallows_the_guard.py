"""Broken on purpose: it reads test clips and hides the error that tells of it."""

from __future__ import annotations

import contextlib

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice, random_choice


class SwallowsTheGuard(Coreset[NoOptions]):
    """Random clips, after a look at the test clips."""

    name = "broken-swallows-the-guard"

    def choose(self, task: Task) -> Choice:
        with contextlib.suppress(Exception):
            task._data.store.clips[task._data.store.positions("test")].mean()
        return random_choice(task)
