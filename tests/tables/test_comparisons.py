"""Ranks with ties from corrected tests of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from bench.tables.comparisons import compare, untestable
from bench.tables.spreads import pair_error
from bench.tables.stats import holm, margins, p_value


def method(mean, spread=0.005, seed=0, seeds=5, networks=5):
    """Trainings with exactly this mean."""
    noise = np.random.default_rng(seed).normal(size=(seeds, networks))
    values = mean + spread * (noise - noise.mean())
    return {i: dict(enumerate(row)) for i, row in enumerate(values.tolist())}


def test_ranks_count_the_methods_that_are_significantly_better():
    found = compare([method(0.5, seed=1), method(0.2, seed=2), method(0.501, seed=3), method(0.35, seed=4)])
    assert found.ranks == (1, 4, 1, 3)
    assert found.tied == (True, False, True, False)
    assert len(found.tests) == 6


def test_each_pair_is_tested_on_what_it_shares_and_corrected_by_holm():
    methods = [method(0.30, seed=1), method(0.31, seed=2), method(0.315, seed=3)]
    found = compare(methods)
    pairs = [(test.first, test.second) for test in found.tests]
    assert pairs == [(1, 0), (2, 0), (2, 1)]
    every = [margins(each) for each in methods]
    p_values = [
        pair_error(every, *pair).p_value(test.difference) for pair, test in zip(pairs, found.tests, strict=True)
    ]
    assert [test.p for test in found.tests] == p_values
    assert [test.difference for test in found.tests] == pytest.approx([0.01, 0.015, 0.005])
    assert [test.corrected for test in found.tests] == holm(p_values)


def test_two_methods_have_only_their_own_spread():
    methods = [method(0.30, seed=1), method(0.31, seed=2)]
    found = compare(methods)
    assert found.tests[0].p == p_value(margins(methods[1]), margins(methods[0]))
    assert found.visible is None


def test_an_unsteady_best_is_told_apart_from_nobody():
    """Not told apart from the best, yet worse than the second: the mark and the rank are two statements."""
    steady = [method(mean, 0.002, seed=seed) for seed, mean in enumerate([0.46, 0.40, 0.46, 0.46, 0.46])]
    found = compare([method(0.50, spread=0.1, seed=9), *steady])
    assert found.tied == (True,) * 6
    assert found.ranks == (1, 1, 5, 1, 1, 1)


def test_a_lone_method_is_first():
    found = compare([method(0.3)])
    assert (found.ranks, found.tied, found.tests) == ((1,), (True,), ())


def test_equal_methods_tie():
    found = compare([method(0.3), method(0.3)])
    assert (found.ranks, found.tied) == ((1, 1), (True, True))
    assert found.tests[0].p == 1


def test_a_method_without_seeds_can_be_compared_with_all():
    fixed = {None: dict(enumerate(method(0.6, seeds=1)[0].values()))}
    other = {None: {k: value - 0.3 for k, value in fixed[None].items()}}
    methods = [fixed, method(0.3), other]
    assert untestable(methods) is None
    assert compare(methods).ranks == (1, 2, 2)


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ([method(0.3, seeds=2), method(0.4, seeds=2)], "fewer than 3 distillation seeds"),
        ([method(0.3, networks=1), method(0.4, networks=1)], "a single network trained on each set"),
        ([{None: {0: 0.1}}, {None: {0: 0.2}}], "a single network trained on each set"),
        ([{None: {0: 0.1, 1: 0.3}}, {None: {0: 0.2, 1: 0.2}}], None),
        ([method(0.3, seeds=3, networks=2), method(0.4, seeds=3, networks=2)], None),
    ],
)
def test_too_few_trainings_are_said_to_be(methods, reason):
    assert untestable(methods) == reason


@pytest.mark.parametrize(
    "methods",
    [
        [{0: {0: 0.1}}, {0: {0: 0.2}}],
        [{0: {0: 0.1, 1: 0.1}}, {1: {0: 0.2, 1: 0.2}}],
        [{0: {0: 0.1, 1: 0.1}}, {0: {0: 0.2, 2: 0.2}}],
        [{0: {0: 0.1, 1: 0.1}, 1: {0: 0.1}}, {0: {0: 0.2, 1: 0.2}, 1: {0: 0.2}}],
    ],
)
def test_methods_that_share_too_little_cannot_be_compared(methods):
    with pytest.raises(ValueError, match=r"needs|too few"):
        compare(methods)
