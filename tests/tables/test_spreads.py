"""Errors of pairs, in part pooled over methods, beside a float64 reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.tables.comparisons import ALPHA, compare
from bench.tables.spreads import PairError, pair_error
from bench.tables.stats import Margins


def margins_of(values):
    """Margins of one method from an array (seed, network)."""
    return Margins(dict(enumerate(values.mean(1).tolist())), dict(enumerate(values.mean(0).tolist())))


def reference(values, a, b):
    """The variance from the definition: half of it the pair's own, half the mean over all pairs of methods."""
    square = 0.0
    for axis in (2, 1):
        means = values.mean(axis=axis)
        variances = {pair: np.var(means[pair[0]] - means[pair[1]], ddof=1) for pair in pairs(len(values))}
        square += (variances[a, b] + np.mean(list(variances.values()))) / 2 / means.shape[1]
    return square


def pairs(methods):
    return list(itertools.combinations(range(methods), 2))


@pytest.mark.parametrize(("methods", "seeds", "networks"), [(3, 3, 3), (4, 5, 2), (7, 3, 4)])
def test_half_of_a_variance_is_the_pairs_own_and_half_the_mean_of_all_pairs(methods, seeds, networks):
    values = (
        np.random.default_rng(methods).normal(size=(methods, seeds, networks))
        * np.arange(1, methods + 1)[:, None, None]
    )
    margins = [margins_of(each) for each in values]
    for a, b in pairs(methods):
        assert pair_error(margins, a, b).square == pytest.approx(reference(values, a, b))


def test_what_all_methods_share_does_not_count():
    """Luck of a seed or a network that moves every method alike moves no difference."""
    values = np.random.default_rng(0).normal(size=(4, 3, 3))
    moved = values + np.array([5.0, -3.0, 1.0])[:, None] + np.array([2.0, 0.0, 9.0])
    for a, b in pairs(4):
        errors = [pair_error([margins_of(each) for each in table], a, b) for table in (values, moved)]
        assert errors[1].square == pytest.approx(errors[0].square)
        assert errors[1].dof == pytest.approx(errors[0].dof)


def test_degrees_of_freedom_lie_between_those_of_the_pair_and_those_of_all():
    values = np.random.default_rng(1).normal(size=(14, 3, 3))
    margins = [margins_of(each) for each in values]
    for a, b in pairs(14):
        assert 2 <= pair_error(margins, a, b).dof <= 2 * 13 * 2


def test_a_method_without_seeds_brings_no_spread_of_seeds():
    """Only the networks' spread is left between two methods that nothing random made."""
    values = np.random.default_rng(2).normal(size=(3, 1, 4))
    fixed = [Margins({None: float(each.mean())}, margins_of(each).networks) for each in values]
    networks = values[:, 0]
    variances = {(a, b): np.var(networks[a] - networks[b], ddof=1) for a, b in pairs(3)}
    for pair in pairs(3):
        expected = (variances[pair] + np.mean(list(variances.values()))) / 2 / 4
        assert pair_error(fixed, *pair).square == pytest.approx(expected)


def test_one_seeded_method_beside_a_fixed_one_has_the_spread_of_one():
    rng = np.random.default_rng(3)
    seeded = [margins_of(each) for each in rng.normal(size=(3, 4000, 1))]
    fixed = Margins({None: 0.0}, {0: 0.0})
    assert pair_error([*seeded, fixed], 0, 3).square == pytest.approx(1 / 4000, rel=0.1)
    assert pair_error([*seeded, fixed], 0, 1).square == pytest.approx(2 / 4000, rel=0.1)


def test_methods_that_never_vary_differ_where_their_means_do():
    constant = [Margins({0: mean, 1: mean, 2: mean}, {0: mean, 1: mean}) for mean in (0.1, 0.1, 0.4)]
    ranking = compare([{seed: dict.fromkeys((0, 1), each.mean) for seed in range(3)} for each in constant])
    assert ranking.ranks == (2, 2, 1)
    assert pair_error(constant, 0, 1).p_value(0.0) == 1.0


def test_a_visible_difference_is_found_four_times_in_five():
    """Against the power of the t test, from the noncentral distribution."""
    error = PairError(square=1.0, dof=12.0, even=4.0)
    difference = error.visible(ALPHA)
    critical = scipy_stats.t.ppf(1 - ALPHA / 2, 12)
    power = scipy_stats.nct.sf(critical, 12, difference / 2)
    assert power == pytest.approx(0.8, abs=0.01)
