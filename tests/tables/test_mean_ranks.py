"""Methods ranked over datasets."""

from __future__ import annotations

import pytest

from bench.tables.critical import mean_ranks
from bench.tables.leaderboard import leaderboards
from bench.tables.mean_ranks import over_datasets

KEYFRAMES = "n4-r8-k1-linear"


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
