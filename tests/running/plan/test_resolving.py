"""Which pairs `--resolve` looks at, which of their cells get seeds, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.results.records import PhaseCost
from bench.running.plan.resolving import look, pairs
from bench.tables.resolve import FIRST
from tests.tables.conftest import record

COSTS = {"distil": PhaseCost(9.0, 9.0, 0, 0), "evaluate": PhaseCost(1.0, 1.0, 0, 0)}


@pytest.fixture(scope="module")
def cells(plan):
    return plan("full", "random", "dm", "herding", seeds=range(FIRST), controls=True)


def read(cells, correct, status="ok", **others):
    """Records by id. ``correct(method, seed)`` are the right answers of each network, of 100."""
    found = {
        planned.cell.id(): replace(
            record("dm", correct(planned.cell.method, planned.cell.seed or 0), costs=COSTS),
            cell=planned.cell, status=others.get(planned.cell.method, status),
        )
        for planned in cells
    }  # fmt: skip
    return found.get


def added(resolution):
    seeds = {}
    for planned in resolution.added:
        assert planned.added
        seeds.setdefault(planned.cell.method, []).append(planned.cell.seed)
    return seeds


def test_methods_stand_beside_random_and_learned_ones_beside_their_start(cells):
    named = {(pair.first[0].cell.method, pair.second[0].cell.method) for pair in pairs(cells)}
    assert named == {("dm", "random"), ("dm", "start-clips"), ("herding", "random")}
    assert all(len(pair.first) == FIRST for pair in pairs(cells) if pair.first[0].cell.method == "dm")


def test_pairs_stand_within_one_table(plan):
    planned = plan("random", "dm", ipcs=(1, 2), settings=("dense", "static"), controls=True)
    for pair in pairs(planned):
        one, other = pair.first[0].cell, pair.second[0].cell
        assert (one.ipc, one.setting, one.judge()) == (other.ipc, other.setting, other.judge())
    assert len({pair.name for pair in pairs(planned)}) == len(pairs(planned)) == 2 * 2 * 2


def test_only_rows_of_wide_pairs_get_seeds(cells):
    """`dm` spreads; `random`, and the start, go with it; `herding` does not."""

    def correct(method, seed):
        return [50 + 6 * (-1) ** seed, 50 - 6 * (-1) ** (seed // 2)] if method == "dm" else [30, 30]

    found = look(cells, {}, read(cells, correct), 2.5)
    seeds = added(found)
    assert set(seeds) == {"dm", "random", "start-clips"}
    assert seeds["dm"] == seeds["random"] == seeds["start-clips"] == list(range(FIRST, FIRST + len(seeds["dm"])))
    assert [line for line in found.lines if "herding" in line] == [
        "herding \u00b7 tiny \u00b7 ipc 1 over random: \u00b10.0 after 8 seeds"
    ]
    (wide,) = [line for line in found.lines if line.startswith("dm") and "over random" in line]
    assert f"adding seeds 8 to {seeds['dm'][-1]}" in wide
    assert not look(cells, {}, read(cells, correct), 40.0).added


def test_networks_that_disagree_are_told_with_the_number_that_would_do(plan):
    many = plan("random", "herding", seeds=range(12))
    found = look(
        many, {}, read(many, lambda method, seed: [20 + seed % 2, 60] if method == "herding" else [40, 40]), 3.0
    )
    assert not found.added
    (line,) = found.lines
    assert "after 12 seeds; its 2 networks keep it wider than \u00b13 whatever the seeds, so none are added" in line


def test_where_judging_is_cheap_more_networks_are_said_to_be(cells):
    def correct(method, seed):
        return [50 + 9 * (-1) ** seed, 50 - 9 * (-1) ** (seed // 2)] if method == "dm" else [30, 30]

    (line,) = [
        line for line in look(cells, {}, read(cells, correct), 3.0).lines if line.startswith("dm") and "random" in line
    ]
    assert "networks a set, not the protocol's 2, would take" in line


def test_a_failed_or_missing_cell_is_said_and_ends_its_pairs(cells):
    found = look(cells, {}, read(cells, lambda method, seed: [40 + 9 * (seed % 2), 40], dm="failed"), 1.0)
    assert set(added(found)) <= {"random"}
    assert sum("a cell failed (dm" in line for line in found.lines) == 2
    found = look(cells, {}, lambda cell_id: None, 1.0)
    assert not found.added
    assert all(line.endswith("its cells are still to be run; a pair has at least 8 seeds") for line in found.lines)
