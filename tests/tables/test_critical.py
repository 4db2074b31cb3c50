"""Ranks over datasets: Friedman's test against SciPy, Nemenyi's difference against the table of Demsar (2006)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.tables.critical import mean_ranks


def by_dataset(table):
    return {f"d{i}": {f"m{j}": score for j, score in enumerate(row)} for i, row in enumerate(table)}


@given(
    st.integers(3, 6).flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=2, max_size=8)
    )
)
def test_friedman_agrees_with_scipy_also_with_ties(table):
    found = mean_ranks(by_dataset(table))
    if all(len(set(row)) == 1 for row in table):
        assert (found.statistic, found.p) == (0, 1)
    else:
        expected = stats.friedmanchisquare(*zip(*table, strict=True))
        assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
        assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert sum(found.ranks.values()) == pytest.approx(len(table[0]) * (len(table[0]) + 1) / 2)


# Demsar (2006), table 5a: q for the two-tailed Nemenyi test at 0.05.
@pytest.mark.parametrize(("methods", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)])
def test_the_critical_difference_is_the_published_one(methods, q):
    found = mean_ranks(by_dataset([range(methods)] * 14))
    assert found.difference == pytest.approx(q * math.sqrt(methods * (methods + 1) / (6 * 14)), rel=4e-4)


def test_the_highest_score_has_rank_one_and_ties_share_theirs():
    found = mean_ranks({"a": {"x": 0.9, "y": 0.5, "z": 0.5}, "b": {"x": 0.8, "y": 0.3, "z": 0.1}})
    assert found.ranks == {"x": 1.0, "y": 2.25, "z": 2.75}
    assert list(found.ranks) == ["x", "y", "z"]
    assert found.datasets == ("a", "b")


def test_scores_that_differ_by_rounding_tie():
    found = mean_ranks({d: {"x": 0.1 + 0.2, "y": 0.3, "z": 0.0} for d in "ab"})
    assert found.ranks == {"x": 1.5, "y": 1.5, "z": 3.0}


def test_groups_are_the_runs_within_the_critical_difference():
    found = mean_ranks(by_dataset([[4, 3, 2, 1]] * 7))
    assert 1 < found.difference < 2
    assert found.groups() == [("m0", "m1"), ("m1", "m2"), ("m2", "m3")]


def test_without_a_significant_friedman_test_nobody_is_told_apart():
    found = mean_ranks(by_dataset([[3, 2, 1], [1, 2, 3], [2, 3, 1]]))
    assert found.p > 0.05
    assert found.groups() == [tuple(found.ranks)]


@pytest.mark.parametrize(
    "scores",
    [
        {"a": {"x": 1.0, "y": 2.0, "z": 3.0}},
        {"a": {"x": 1.0, "y": 2.0}, "b": {"x": 1.0, "y": 2.0}},
        {"a": {"x": 1.0, "y": 2.0, "z": 3.0}, "b": {"x": 1.0, "y": 2.0}},
    ],
)
def test_too_little_or_a_partial_table_is_refused(scores):
    with pytest.raises(ValueError, match="same methods"):
        mean_ranks(scores)
