"""How DC spends its updates: the published loops, for every method that uses them."""

from __future__ import annotations

import pytest
from bench.methods._loops import loops
from bench.methods._stage_one import static_passes
from bench.methods.dc import DC, DCConfig
from bench.methods.dsa import DSA
from bench.methods.static_dynamic import DCSD, DMSD, FRePoSD, StaticOnly

from bench.api import ClipShape, Workload
from bench.core.temporal import dense


@pytest.mark.parametrize(
    ("per_class", "outer", "inner"),
    [(1, 1, 1), (2, 1, 1), (5, 1, 1), (9, 1, 1), (10, 10, 50), (19, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15),
     (50, 50, 10), (100, 50, 10)],
)  # fmt: skip
def test_loops_follow_from_images_per_class(per_class: int, outer: int, inner: int) -> None:
    assert loops(per_class, None, None, None) == (1000, outer, inner)


def test_updates_are_spent_in_whole_networks_and_at_least_one() -> None:
    assert loops(10, 250, None, None) == (25, 10, 50)
    assert loops(50, 40, None, None) == (1, 50, 10)
    assert loops(10, 7, 3, 0) == (2, 3, 0)
    assert loops(10, 7, 3, 0).updates() == 6


def test_every_method_with_stage_one_learns_the_same_images_at_the_same_cost() -> None:
    """At IPC 5 there are ten images a class: 10 x 50 loops, by `static-only` and by every `+sd` but FRePo's, which has five."""
    work = Workload(2, 40, 5, ClipShape(3, 8, 32, 32), dense(8))
    passes = {kind.name: static_passes(work, kind.Config()) for kind in (StaticOnly, DMSD, DCSD, FRePoSD)}
    ten = 2 * 1000 * (10 * (3 * 256 + 9 * 10) + 9 * 50 * 3 * 10) / 8
    five = 2 * 1000 * (3 * 256 + 9 * 5) / 8
    assert passes == {"static-only": ten, "dm+sd": ten, "dc+sd": ten, "frepo+sd": five}


@pytest.mark.parametrize("kind", [DC, DSA])
def test_passes_count_the_training_in_between(kind: type[DC]) -> None:
    work = Workload(2, 40, 10, ClipShape(3, 8, 32, 32), dense(8))
    config = DCConfig(steps=20, batch_real=16)
    matchings, trainings = 20, 2 * 9 * 50
    assert kind(config).clip_passes(work) == 2 * (matchings * (3 * 16 + 9 * 10) + trainings * 3 * 10)
