"""Intervals against SciPy's closed forms, and the rule that says what an interval covers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.tables.stats import interval, paired, t_quantile


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_quantile_agrees_with_scipy(level):
    for dof in [*range(1, 41), 99, 100, 400]:
        assert t_quantile(level, dof) == pytest.approx(stats.t.ppf((1 + level) / 2, dof), rel=1e-10)


def test_quantile_of_one_degree_of_freedom_is_a_tangent():
    assert t_quantile(0.95, 1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)


@pytest.mark.parametrize(("level", "dof"), [(0.0, 3), (1.0, 3), (0.95, 0)])
def test_quantile_refuses_what_has_none(level, dof):
    with pytest.raises(ValueError, match="needs"):
        t_quantile(level, dof)


def crossed(seeds, networks, seed=3):
    return np.random.default_rng(seed).normal(0.3, 0.05, (seeds, networks))


@pytest.mark.parametrize(("seeds", "networks"), [(3, 5), (3, 1), (7, 2)])
def test_enough_seeds_are_the_sample(seeds, networks):
    values = crossed(seeds, networks)
    expected = stats.ttest_1samp(values.mean(axis=1), 0).confidence_interval(0.95)
    found = interval(values.tolist())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(values.mean())
    assert (found.covers, found.seeds, found.networks, found.trainings) == ("seeds", seeds, networks, seeds * networks)


@pytest.mark.parametrize(("seeds", "networks"), [(1, 5), (2, 3), (2, 1)])
def test_with_few_seeds_all_trainings_are_the_sample(seeds, networks):
    values = crossed(seeds, networks)
    expected = stats.ttest_1samp(values.ravel(), 0).confidence_interval(0.95)
    found = interval(values.tolist())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.covers == "networks"
    assert found.half_width == pytest.approx((expected.high - expected.low) / 2)


def test_more_networks_do_not_narrow_an_interval_over_seeds():
    few = interval([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    many = interval([[0.1] * 50, [0.2] * 50, [0.3] * 50])
    assert many.half_width == pytest.approx(few.half_width)


def test_a_single_training_has_no_interval():
    found = interval([[0.25]])
    assert (found.mean, found.low, found.high, found.half_width, found.covers) == (0.25, None, None, None, None)


def test_seeds_with_fewer_networks_weigh_the_same():
    found = interval([[0.0, 0.0, 0.0], [0.3], [0.6, 0.6]])
    assert found.mean == pytest.approx(0.3)
    assert (found.networks, found.trainings) == (3, 6)


@pytest.mark.parametrize("values", [[], [[]], [[0.1], []]])
def test_no_values_is_an_error(values):
    with pytest.raises(ValueError, match="at least one value"):
        interval(values)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=6), st.floats(-0.5, 0.5))
def test_an_interval_moves_with_its_values(values, shift):
    found = interval(values)
    moved = interval([[value + shift for value in row] for row in values])
    assert moved.mean == pytest.approx(found.mean + shift, abs=1e-9)
    assert moved.half_width == pytest.approx(found.half_width, abs=1e-9)


def by_seed(values, seeds=None):
    rows = enumerate(values) if seeds is None else zip(seeds, values, strict=True)
    return {seed: dict(enumerate(row)) for seed, row in rows}


def test_paired_agrees_with_the_paired_test():
    a, b = crossed(4, 5, 1), crossed(4, 5, 2)
    expected = stats.ttest_rel(a.mean(axis=1), b.mean(axis=1)).confidence_interval(0.95)
    found = paired(by_seed(a), by_seed(b))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx((a - b).mean())


def test_paired_with_few_seeds_agrees_over_trainings():
    a, b = crossed(2, 5, 1), crossed(2, 5, 2)
    expected = stats.ttest_rel(a.ravel(), b.ravel()).confidence_interval(0.95)
    found = paired(by_seed(a), by_seed(b))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.covers == "networks"


def test_pairing_removes_what_the_pairs_share():
    noise = crossed(3, 5)
    found = paired(by_seed(noise + 0.1), by_seed(noise))
    assert found.mean == pytest.approx(0.1)
    assert found.half_width == pytest.approx(0, abs=1e-12)


def test_only_shared_pairs_count():
    a = {0: {0: 0.5, 1: 0.7}, 1: {0: 0.9}, 5: {0: 1.0}}
    b = {0: {1: 0.2, 2: 0.0}, 1: {0: 0.8}, 6: {0: 0.0}}
    found = paired(a, b)
    assert found.mean == pytest.approx((0.5 + 0.1) / 2)
    assert (found.seeds, found.trainings) == (2, 2)


@pytest.mark.parametrize("b", [{}, {1: {0: 0.1}}, {0: {1: 0.1}}])
def test_no_shared_pair_is_no_interval(b):
    assert paired({0: {0: 0.5}}, b) is None


def test_a_method_without_randomness_is_paired_with_every_seed():
    fixed = {None: {0: 0.5, 1: 0.6}}
    drawn = by_seed([[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]])
    found = paired(fixed, drawn)
    expected = stats.ttest_1samp([0.4, 0.3, 0.2], 0).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, expected.low, expected.high))
    assert (found.seeds, found.covers) == (3, "seeds")
    backwards = paired(drawn, fixed)
    assert (backwards.low, backwards.high) == pytest.approx((-found.high, -found.low))


def test_two_methods_without_randomness_are_paired_once():
    found = paired({None: {0: 0.5, 1: 0.7}}, {None: {0: 0.4, 1: 0.5}})
    assert (found.mean, found.seeds, found.covers) == (pytest.approx(0.15), 1, "networks")
