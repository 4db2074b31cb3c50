"""Distribution functions against SciPy's."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from bench.tables.distributions import chi_squared_tail, range_quantile, t_quantile, t_tail

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
