"""Starts in the plan: one for the methods that share it, at the same point of the grid."""

from __future__ import annotations

from collections import Counter

import pytest

from bench import plugins
from bench.api import Method, Start
from bench.core.errors import BenchError
from bench.running.options.options import RunOptions
from bench.running.plan.controls import start_of

REGISTRIES = plugins.load()


def counted(cells):
    return Counter(planned.cell.method for planned in cells)


def test_methods_that_start_alike_share_their_start(plan):
    cells = plan("dm", "dc", "static-only", "random", seeds=(0, 1), ipcs=(1, 2), controls=True)
    every = dict.fromkeys(("dm", "dc", "static-only", "random", "start-clips", "start-frames"), 4)
    assert counted(cells) == every


def test_without_controls_there_is_none(plan):
    assert counted(plan("dm", controls=False)) == {"dm": 1}


def test_controls_are_on_unless_a_user_says_otherwise():
    assert RunOptions().controls


def test_a_start_has_the_point_of_its_method(plan):
    learned, start = plan("dm+sd", budgets=(100_000,), storages=("uint8",), controls=True)
    assert start.cell.method == "start-memories"
    assert (start.cell.ipc, start.cell.budget, start.cell.storage) == (learned.cell.ipc, 100_000, "uint8")
    assert start.stored_bytes == learned.stored_bytes


def test_a_start_that_is_asked_for_by_name_is_there_once(plan):
    assert counted(plan("start-clips", "dm", controls=True)) == {"dm": 1, "start-clips": 1}


def test_a_start_that_does_not_exist_is_one_clear_sentence():
    class Lost(Method):
        name = "lost"
        distill = stored_bytes = clip_passes = lambda self, *_: None

        def start(self):
            return Start("start-nowhere")

    class Odd(Lost):
        def start(self):
            return Start("start-clips", {"size": 3})

    with pytest.raises(BenchError, match="start-nowhere"):
        start_of(Lost(None), REGISTRIES)
    with pytest.raises(BenchError, match="the start of lost: no field 'size'"):
        start_of(Odd(None), REGISTRIES)
