"""Broken on purpose: it raises."""

from __future__ import annotations

from bench.api import NoOptions, Task
from bench.distill.coresets import Coreset
from bench.distill.real_start import Choice


class Crashes(Coreset[NoOptions]):
    """Nothing at all."""

    name = "broken-crashes"

    def choose(self, task: Task) -> Choice:
        raise ZeroDivisionError("no such luck")
