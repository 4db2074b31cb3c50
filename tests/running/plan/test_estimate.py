"""How long cells may take: arithmetic without records, what like cells took with them, and shared work counted once."""

from __future__ import annotations

import dataclasses

import pytest

from bench.api import Workload
from bench.core.temporal import dense
from bench.data.clip_table import number
from bench.results.records import PhaseCost, Record
from bench.running.plan.estimate import FLOPS_PER_CORE, Experience, elapsed
from bench.running.plan.work import passes


def took(seconds, shared=False):
    """CPU seconds; the machine did other work, so that twice as many passed."""
    return PhaseCost(2 * seconds, seconds, 0, 0, shared)


def measured(planned, judging, distil, artefacts=None, status="ok", device="cpu"):
    """A record of a cell, with CPU seconds of its phases."""
    artefacts = artefacts or {}
    costs = {"evaluate": took(0.75 * judging), "probe": took(0.25 * judging), "distil": took(distil), "tune": took(1e6)}
    costs |= {"upstream": took(sum(artefacts.values()))} if artefacts else {}
    upstream = {name: dataclasses.asdict(took(seconds, shared=True)) for name, seconds in artefacts.items()}
    train = number(planned.index.clips, "train")
    test = len(planned.index.clips) - train
    data = {"classes": len(planned.index.classes), "train": train, "test": test, "upstream": upstream}
    return Record(planned.cell, status, costs=costs, data=data, provenance={"device": device})


@pytest.fixture
def estimate(registries):
    """``estimate(cells, records)``: seconds of each."""

    def of(cells, records=(), threads=1):
        experience = Experience(registries, threads)
        for record in records:
            experience.learn(record)
        return list(experience.seconds(cells).values())

    return of


def test_without_records_it_is_arithmetic(plan, estimate):
    cells = plan("tiny-walk", "dm", ipcs=(1, 2))
    nominal = [cell.flops / FLOPS_PER_CORE for cell in cells]
    assert estimate(cells[:2]) == pytest.approx(nominal[:2])  # the first of each method
    assert estimate(cells[:2], threads=4) == pytest.approx([seconds / 4 for seconds in nominal[:2]])


def test_without_records_a_method_says_what_is_shared(plan, estimate):
    """The real side of the second cell is that of the first; another seed has its own."""
    cells = plan("dm", ipcs=(1, 2))
    (other,) = plan("dm", ipcs=(2,), seeds=(1,))
    real = cells[0].work.real / FLOPS_PER_CORE
    assert real > 0
    nominal = [cell.flops / FLOPS_PER_CORE for cell in (*cells, other)]
    assert estimate([*cells, other]) == pytest.approx([nominal[0], nominal[1] - real, nominal[2]])


def test_what_the_same_took_is_what_it_will_take(plan, estimate):
    """By CPU seconds: other work on the machine, work made by another cell and the trials of a search change nothing."""
    (cell,) = plan("dm")
    records = [measured(cell, 8.0, 2.0, {"real-means": 30.0})]
    assert estimate([cell], records) == pytest.approx([40.0])
    assert estimate([cell], records, threads=2) == pytest.approx([20.0])
    assert estimate([cell], [dataclasses.replace(records[0], provenance={"device": "a GPU"})]) == pytest.approx([80.0])


def test_it_is_the_median_of_like_records(plan, estimate):
    (cell,) = plan("tiny-walk")
    records = [measured(cell, judging, 0.001) for judging in (7.0, 300.0, 5.0)]
    assert estimate([cell], records) == pytest.approx([7.001], rel=1e-3)


def test_records_of_another_method_count_only_where_there_is_none_of_its_own(plan, estimate):
    dm, walk = plan("dm", "tiny-walk")
    own, other = measured(walk, 8.0, 3.0), measured(dm, 2.0, 1.0)
    assert estimate([walk], [own, other]) == estimate([walk], [own])
    judging, learning = 2.0 / dm.work.judging, 1.0 / (dm.work.real + dm.work.learned)
    expected = walk.work.judging * judging + (walk.work.real + walk.work.learned) * learning
    assert estimate([walk], [other]) == pytest.approx([expected])


def test_records_of_another_profile_of_unfinished_cells_and_of_unknown_parts_say_nothing(plan, estimate):
    (cell,) = plan("tiny-walk")
    (paper,) = plan("tiny-walk", profile="quick")
    gone = dataclasses.replace(cell.cell, method="no-such-method")
    changed = dataclasses.replace(cell.cell, config={"no_such_field": 1})
    records = [measured(paper, 9.0, 9.0), measured(cell, 9.0, 9.0, status="timeout")]
    records += [dataclasses.replace(measured(cell, 9.0, 9.0), cell=other) for other in (gone, changed)]
    assert estimate([cell], records) == estimate([cell])


def test_what_cells_share_is_counted_once(plan, estimate):
    """The grid of budgets and stored frames costs little more than one cell; each seed makes its own."""
    settings = ("dense", "keyframes-2", "static")  # all see the real clips whole but the last
    (one,) = plan("dm")
    records = [measured(one, 8.0, 2.0, {"real-means": 30.0})]
    grid = plan("dm", ipcs=(1, 2), seeds=(0, 1), settings=settings)
    per_cell = [estimate([cell], records)[0] for cell in grid]
    whole = [setting.cell.setting for setting in grid].count("n1-r1-k1-nearest")
    made = 2 * (2 if whole else 1)  # by each seed, for clips seen whole and for those that are not
    assert sum(per_cell) - sum(estimate(grid, records)) == pytest.approx(30.0 * (len(grid) - made))


def test_methods_share_what_has_one_name(plan, estimate):
    """Even if it does not take the same: a later cell then takes what it needs beyond what there is."""
    dm, sd = plan("dm", "dm+sd")
    records = [
        measured(dm, 8.0, 2.0, {"real-means": 30.0}),
        measured(sd, 8.0, 4.0, {"real-means": 35.0, "memory": 6.0}),
    ]
    assert estimate([dm, sd], records) == pytest.approx([40.0, 8.0 + 4.0 + 6.0 + 5.0])
    assert estimate([sd, dm], records) == pytest.approx([53.0, 10.0])


def test_real_clips_are_told_from_stored_ones(plan, registries):
    """DM passes up to 64 real clips a class forward (here the 5 that there are), and its own forward and backward."""
    (cell,) = plan("dm", ipcs=(3,))
    method = registries.methods.get("dm")(registries.methods.get("dm").Config(steps=10, batch_real=64))
    work = Workload(3, 15, 3, cell.geometry.shape(), dense(4))
    found = passes(method, work, registries.protocols.get("tiny"), 6)
    assert (found.real, found.learned) == (10 * 3 * 5, 10 * 3 * 3 * 3)


def test_full_is_all_judging(plan, registries):
    (cell,) = plan("full")
    assert (cell.work.real, cell.work.learned) == (0.0, 0.0)
    assert cell.work.judging == cell.flops > 0


def test_cells_at_a_time_share_the_time_down_to_the_longest():
    seconds = {"a": 30.0, "b": 10.0, "c": 20.0}
    assert elapsed(seconds, 1) == 60
    assert elapsed(seconds, 2) == 30
    assert elapsed(seconds, 9) == 30
    assert elapsed({}, 1) == 0
