"""Intervals and tests of a crossed design against SciPy and closed forms, and the rule that says what they cover."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.tables.bootstrap import bootstrap_interval
from bench.tables.stats import (
    chi_squared_tail,
    differences,
    holm,
    interval,
    margins,
    p_value,
    range_quantile,
    t_quantile,
    t_tail,
)


def crossed(seeds, networks, seed=3):
    return np.random.default_rng(seed).normal(0.3, 0.05, (seeds, networks))


def ends(found):
    return found.low, found.high


# ----------------------------------------------------------------------------------------------------------------------
# Intervals


@pytest.mark.parametrize(("seeds", "networks"), [(3, 5), (3, 2), (7, 2)])
def test_over_both_the_squared_errors_add_up_with_welchs_degrees_of_freedom(seeds, networks):
    values = crossed(seeds, networks)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    # Welch's test of a difference of two means has this error and these degrees of freedom.
    welch = stats.ttest_ind(rows, -columns, equal_var=False).confidence_interval(0.95)
    found = interval(values.tolist())
    assert found.mean == pytest.approx(values.mean())
    assert found.half_width == pytest.approx((welch.high - welch.low) / 2)
    assert ends(found) == pytest.approx((found.mean - found.half_width, found.mean + found.half_width))
    assert (found.covers, found.seeds, found.networks) == ("both", seeds, networks)


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_the_networks_are_the_sample(seeds):
    values = crossed(seeds, 5)
    expected = stats.ttest_1samp(values.mean(axis=0), 0).confidence_interval(0.95)
    found = interval(values.tolist())
    assert ends(found) == pytest.approx((expected.low, expected.high))
    assert found.covers == "networks"


def test_with_one_network_the_seeds_are_the_sample():
    values = crossed(4, 1)
    expected = stats.ttest_1samp(values.ravel(), 0).confidence_interval(0.95)
    found = interval(values.tolist())
    assert ends(found) == pytest.approx((expected.low, expected.high))
    assert found.covers == "seeds"


def test_the_grand_means_variance_is_estimated_without_bias_where_nothing_is_left_over():
    """Without a residual the sum of the two squared errors has the mean of the true variance."""
    rng = np.random.default_rng(0)
    squares = []
    for _ in range(1500):
        values = rng.normal(0, 2, (4, 1)) + rng.normal(0, 1.5, (1, 3))
        rows, columns = values.mean(axis=1), values.mean(axis=0)
        dof = stats.ttest_ind(rows, -columns, equal_var=False).df
        squares.append((interval(values.tolist()).half_width / stats.t.ppf(0.975, dof)) ** 2)
    assert np.mean(squares) == pytest.approx(2**2 / 4 + 1.5**2 / 3, rel=0.06)


def test_more_networks_do_not_narrow_what_the_seeds_leave_open():
    few = interval([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    many = interval([[0.1] * 50, [0.2] * 50, [0.3] * 50])
    assert many.half_width == pytest.approx(few.half_width)
    assert few.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3))


@pytest.mark.parametrize("values", [[[0.25]], [[0.25], [0.5]]])
def test_too_few_trainings_have_no_interval(values):
    found = interval(values)
    assert (*ends(found), found.half_width, found.covers) == (None, None, None, None)
    assert found.mean == np.mean(values)
    assert bootstrap_interval(values) == found


@pytest.mark.parametrize("values", [[], [[]], [[0.1], []], [[0.1, 0.2], [0.3], [0.4, 0.5]]])
@pytest.mark.parametrize("function", [interval, bootstrap_interval])
def test_no_mean_is_taken_over_a_partial_set(values, function):
    with pytest.raises(ValueError, match="same number of values for each seed"):
        function(values)


@given(
    st.integers(2, 4).flatmap(
        lambda networks: st.lists(
            st.lists(st.floats(0, 1), min_size=networks, max_size=networks), min_size=1, max_size=6
        )
    ),
    st.floats(-0.5, 0.5),
)
def test_an_interval_moves_with_its_values_and_forgets_their_order(values, shift):
    found = interval(values)
    moved = interval([[value + shift for value in reversed(row)] for row in reversed(values)])
    assert moved.mean == pytest.approx(found.mean + shift, abs=1e-9)
    assert moved.half_width == pytest.approx(found.half_width, abs=1e-7)


@pytest.mark.parametrize(("seeds", "networks", "covers"), [(5, 4, "both"), (5, 1, "seeds"), (2, 5, "networks")])
def test_the_bootstrap_has_the_spread_of_its_closed_form(seeds, networks, covers):
    """The variance of a resampled mean is known: that of the sample, with n in the denominator."""
    values = crossed(seeds, networks)
    found = bootstrap_interval(values.tolist(), resamples=20000)
    rows, columns = values.mean(axis=1).var(), values.mean(axis=0).var()
    rest = values.var() - rows - columns
    variance = {
        "both": rows / seeds + columns / networks + rest / (seeds * networks),
        "seeds": rows / seeds,
        "networks": columns / networks,
    }[covers]
    assert found.covers == covers
    assert found.mean == pytest.approx(values.mean())
    assert found.half_width == pytest.approx(1.96 * math.sqrt(variance), rel=0.1)
    assert found == bootstrap_interval(values.tolist(), resamples=20000)


# ----------------------------------------------------------------------------------------------------------------------
# Pairs


def by_seed(values, seeds=None):
    rows = enumerate(values) if seeds is None else zip(seeds, values, strict=True)
    return {seed: dict(enumerate(row)) for seed, row in rows}


def test_differences_are_taken_training_by_training():
    a, b = crossed(4, 5, 1), crossed(4, 5, 2)
    assert np.allclose(differences(by_seed(a), by_seed(b)), a - b)


def test_pairing_removes_what_the_pairs_share():
    noise = crossed(3, 5)
    found = interval(differences(by_seed(noise + 0.1), by_seed(noise)))
    assert found.mean == pytest.approx(0.1)
    assert found.half_width == pytest.approx(0, abs=1e-12)


def test_only_what_all_shared_seeds_have_counts():
    a = {0: {0: 0.5, 1: 0.7}, 1: {0: 0.9, 1: 0.8}, 5: {0: 1.0}}
    b = {0: {1: 0.2, 2: 0.0}, 1: {0: 0.8, 1: 0.6}, 6: {0: 0.0}}
    assert np.allclose(differences(a, b), [[0.5], [0.2]])


@pytest.mark.parametrize("b", [{}, {1: {0: 0.1}}, {0: {1: 0.1}}])
def test_nothing_shared_has_no_differences(b):
    assert differences({0: {0: 0.5}}, b) is None


def test_a_method_without_randomness_is_paired_with_every_seed():
    fixed = {None: {0: 0.5, 1: 0.6}}
    drawn = by_seed([[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]])
    assert np.allclose(differences(fixed, drawn), [[0.4, 0.4], [0.3, 0.3], [0.2, 0.2]])
    assert np.allclose(differences(drawn, fixed), [[-0.4, -0.4], [-0.3, -0.3], [-0.2, -0.2]])
    assert np.allclose(differences(fixed, {None: {0: 0.4, 1: 0.4}}), [[0.1, 0.2]])


# ----------------------------------------------------------------------------------------------------------------------
# Tests


def p_of(differences):
    """The p-value of a method with these figures and one with none but zeros."""
    values = np.array(differences)
    return p_value(margins(by_seed(values)), margins(by_seed(0 * values)))


def test_the_p_value_is_the_largest_of_three():
    values = crossed(4, 3, 9) - 0.25
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    over_seeds, over_networks = (stats.ttest_1samp(sample, 0).pvalue for sample in (rows, columns))
    welch = stats.ttest_ind(rows, -columns, equal_var=False)
    both = 2 * stats.t.sf(abs(values.mean()) / math.sqrt(rows.var(ddof=1) / 4 + columns.var(ddof=1) / 3), welch.df)
    assert p_of(values) == pytest.approx(max(over_seeds, over_networks, both))
    assert p_of(values[:, :1]) == pytest.approx(stats.ttest_1samp(values[:, 0], 0).pvalue)
    assert p_of(values[:1]) == pytest.approx(stats.ttest_1samp(values[0], 0).pvalue)


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 5))
def test_the_p_value_is_that_of_the_paired_differences(seed, seeds, networks):
    a, b = crossed(seeds, networks, seed), crossed(seeds, networks, seed + 1)
    paired = p_value(margins(by_seed(a)), margins(by_seed(b)))
    assert paired == pytest.approx(p_of(a - b), rel=1e-6)
    assert paired == pytest.approx(p_value(margins(by_seed(b)), margins(by_seed(a))))
    alone = [stats.ttest_rel(a.mean(axis=axis), b.mean(axis=axis)).pvalue for axis in (0, 1)]
    assert paired >= max(alone) * (1 - 1e-9)


@pytest.mark.parametrize("rows", [True, False])
def test_a_difference_that_changes_with_seeds_or_networks_alone_is_tested_over_these(rows):
    values = np.array([[0.1], [0.2], [0.3]]) + np.zeros((3, 4))
    sample = values.mean(axis=1)
    assert p_of(values if rows else values.T) == pytest.approx(stats.ttest_1samp(sample, 0).pvalue)


def test_a_method_without_randomness_is_tested_over_the_others_seeds():
    fixed, drawn = {None: {0: 0.5, 1: 0.6}}, by_seed([[0.1, 0.2], [0.2, 0.35], [0.3, 0.4]])
    assert p_value(margins(fixed), margins(drawn)) == pytest.approx(p_of([[0.4, 0.4], [0.3, 0.25], [0.2, 0.2]]))


def test_a_difference_without_any_spread():
    assert p_of([[0.5, 0.5], [0.5, 0.5]]) == 0
    assert p_of([[0.0, 0.0], [0.0, 0.0]]) == 1
    assert p_of([[0.5]]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_agrees_with_the_closed_procedure(p_values):
    """Holm rejects a hypothesis exactly where Bonferroni rejects every intersection that holds it."""
    places = range(len(p_values))
    subsets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(places, size)]
    expected = [max(min(1, len(s) * min(p_values[k] for k in s)) for s in subsets if place in s) for place in places]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


# ----------------------------------------------------------------------------------------------------------------------
# Distributions

DOFS = [1, 1.3, 2, 2.5, 3, 4, 5.7, 8, 10, 20, 33.3, 99, 400]


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_t_quantile_agrees_with_scipy(level):
    for dof in DOFS:
        assert t_quantile(level, dof) == pytest.approx(stats.t.ppf((1 + level) / 2, dof), rel=1e-10)


@pytest.mark.parametrize("dof", DOFS)
def test_t_tail_agrees_with_scipy_far_out_and_close_by(dof):
    for t in (0, 1e-4, 0.1, 0.5, 1, 1.96, 2.5, 4.3, 12.7, 31.8, 100, 1e4):
        assert t_tail(t, dof) == pytest.approx(2 * stats.t.sf(t, dof), rel=1e-9, abs=1e-280)
        assert t_tail(-t, dof) == t_tail(t, dof)


def test_t_of_one_degree_of_freedom_is_a_tangent():
    assert t_quantile(0.95, 1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)
    assert t_tail(math.inf, 1) == 0


@pytest.mark.parametrize(("level", "dof"), [(0.0, 3), (1.0, 3), (0.95, 0), (0.95, math.nan)])
def test_t_refuses_what_has_none(level, dof):
    with pytest.raises(ValueError, match="needs"):
        t_quantile(level, dof)


@pytest.mark.parametrize("dof", range(1, 12))
def test_chi_squared_tail_agrees_with_scipy(dof):
    for value in (0, 0.1, 1, 5, 20, 60):
        assert chi_squared_tail(value, dof) == pytest.approx(stats.chi2.sf(value, dof), rel=1e-10)


@pytest.mark.parametrize("count", [2, 3, 10, 24])
def test_range_quantile_agrees_with_scipy(count):
    for level in (0.9, 0.95, 0.99):
        expected = stats.studentized_range.ppf(level, count, math.inf)
        assert range_quantile(level, count) == pytest.approx(expected, rel=1e-9)


def test_distributions_import_no_torch():
    """Parts of SciPy look for torch where it was deferred, and so import it."""
    script = (
        "from bench.core import lazy; lazy.defer('torch')\n"
        "from bench.tables.stats import chi_squared_tail, range_quantile, t_quantile, t_tail\n"
        "t_tail(2.0, 3), t_quantile(0.95, 3), chi_squared_tail(2.0, 3), range_quantile(0.95, 3)\n"
        "assert not lazy.is_loaded('torch')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
