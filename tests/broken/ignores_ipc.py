"""Broken on purpose: it stores one clip a class, whatever is asked."""

from __future__ import annotations

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice, random_choice


class IgnoresIpc(Coreset[NoOptions]):
    """One random clip a class."""

    name = "broken-ignores-ipc"

    def choose(self, task: Task) -> Choice:
        return [own[:1] for own in random_choice(task)]
