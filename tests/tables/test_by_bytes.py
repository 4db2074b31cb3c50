"""Rows by bytes with their Pareto front."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.tables.by_bytes import by_bytes, pareto
from bench.tables.leaderboard import leaderboards

KEYFRAMES = "n4-r8-k1-linear"


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5).map(float)), max_size=12))
def test_the_pareto_front_is_what_nothing_dominates(points):
    def dominated(stored, accuracy):
        return any(
            other <= stored and better >= accuracy and (other, better) != (stored, accuracy) for other, better in points
        )

    assert pareto(points) == [not dominated(*point) for point in points]


def test_all_budgets_and_settings_of_a_group_are_sorted_by_bytes(make_record):
    (points,) = by_bytes(
        leaderboards([
            make_record("dm", [40, 42], stored=400),
            make_record("dm", [38, 40], stored=100, setting=KEYFRAMES),
            make_record("dm", [50, 52], stored=2000, ipc=5),
            make_record("random", [30, 32], stored=100),
            make_record("random", [45, 47], stored=500, ipc=5),
            make_record("full", [80, 82], stored=9000, ipc=None, seed=None),
            make_record("mtt", status="failed", reason="boom"),
        ])
    )  # fmt: skip
    found = [(p.row.label, p.row.figures.stored.high, p.optimal) for p in points]
    assert found == [
        ("dm", 100, True),
        ("random", 100, False),
        ("dm", 400, True),
        ("random", 500, True),
        ("dm", 2000, True),
        ("full", 9000, True),
    ]
    assert [p.board.ipc for p in points[:5]] == [1, 1, 1, 5, 5]


def test_a_partial_row_is_on_no_front(make_record):
    records = [make_record("dm", [90, 90], stored=1), make_record("random", [30, 30], seed=1)]
    (points,) = by_bytes(leaderboards(records))
    assert {p.optimal for p in points} == {None}


def test_each_group_has_its_own_front(make_record):
    records = [make_record("dm", [right], dataset=dataset, stored=100) for dataset, right in (("a", 30), ("b", 60))]
    assert [[p.optimal for p in points] for points in by_bytes(leaderboards(records))] == [[True], [True]]
