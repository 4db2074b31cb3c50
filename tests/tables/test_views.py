"""Rows by bytes with their Pareto front, by temporal setting, and ranked over datasets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.tables.critical import mean_ranks
from bench.tables.leaderboard import leaderboards
from bench.tables.views import by_bytes, by_setting, over_datasets, pareto

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


def test_settings_of_a_budget_stand_in_one_table(make_record):
    records = [make_record("dm", [30], ipc=ipc, setting=s) for ipc in (1, 5) for s in ("n8-r8-k1-nearest", KEYFRAMES)]
    records += [make_record("random", [40]), make_record("full", [80], ipc=None, seed=None)]
    tables = by_setting(leaderboards(records))
    assert [(t.boards[0].ipc, [b.setting for b in t.boards]) for t in tables] == [
        (1, ["n8-r8-k1-nearest", KEYFRAMES]),
        (5, ["n8-r8-k1-nearest", KEYFRAMES]),
    ]
    assert tables[0].methods == ("random", "dm")
    assert [row.label for row in tables[0].references] == ["full"]


# ----------------------------------------------------------------------------------------------------------------------
# Over datasets

SCORES = {"a": {"dm": 50, "mtt": 40, "random": 30}, "b": {"dm": 60, "mtt": 35, "random": 33}}


def datasets(make_record, scores):
    return [
        make_record(method, [right, right], dataset=dataset)
        for dataset, of_dataset in scores.items()
        for method, right in of_dataset.items()
    ]


def test_datasets_with_the_same_methods_are_ranked(make_record):
    (found,) = over_datasets(leaderboards(datasets(make_record, SCORES)))
    fractions = {d: {method: right / 100 for method, right in s.items()} for d, s in SCORES.items()}
    assert found.ranks == mean_ranks(fractions)
    assert found.ranks.ranks == {"dm": 1, "mtt": 2, "random": 3}
    assert (found.left_out, found.ambiguous) == ((), ())


def test_only_methods_complete_on_every_dataset_are_ranked(make_record):
    records = datasets(make_record, SCORES)
    records += [make_record("only-a", [99, 99], dataset="a"), make_record("half", [99], dataset="a")]
    records += [make_record("half", [99, 99], dataset="b"), make_record("full", [99, 99], ipc=None, seed=None)]
    (found,) = over_datasets(leaderboards(records))
    assert set(found.ranks.ranks) == {"dm", "mtt", "random"}
    assert found.left_out == ("half", "only-a")


@pytest.mark.parametrize(
    "cell", [{"ipc": 5}, {"setting": KEYFRAMES}, {"protocol": "quick/2"}, {"network": "x"}, {"profile": "paper"}]
)
def test_what_differs_by_more_than_the_dataset_is_not_ranked_together(make_record, cell):
    records = datasets(make_record, {"a": SCORES["a"]})
    records += [make_record(method, [right, right], dataset="b", **cell) for method, right in SCORES["b"].items()]
    assert over_datasets(leaderboards(records)) == []


def test_clips_of_another_length_can_be_ranked_together(make_record):
    """Dense is dense: the written-out setting differs with the number of frames."""
    records = datasets(make_record, {"a": SCORES["a"]})
    longer = {"setting": "n16-r16-k1-nearest", "geometry": {"frames": 16}}
    records += [make_record(method, [right, right], dataset="b", **longer) for method, right in SCORES["b"].items()]
    (found,) = over_datasets(leaderboards(records))
    assert found.ranks.datasets == ("a", "b")


def test_a_dataset_in_two_versions_counts_as_none(make_record):
    records = datasets(make_record, {**SCORES, "c": SCORES["a"]})
    records += [make_record("dm", [10, 10], dataset="c", fingerprint="e" * 64)]
    (found,) = over_datasets(leaderboards(records))
    assert (found.ranks.datasets, found.ambiguous) == (("a", "b"), ("c",))


@pytest.mark.parametrize("scores", [{"a": SCORES["a"]}, {d: {"dm": 1, "mtt": 2} for d in "ab"}])
def test_one_dataset_or_two_methods_are_too_few(make_record, scores):
    assert over_datasets(leaderboards(datasets(make_record, scores))) == []
