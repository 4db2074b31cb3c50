"""DD-Ranking's scores against the values worked out by hand."""

from __future__ import annotations

import math

import pytest

from bench.tables.ddranking import relative_scores


def test_the_scores_in_fractions():
    found = relative_scores(synthetic=0.3, full=0.6, random=0.2)
    assert (found.hlr, found.ior) == (pytest.approx(0.3), pytest.approx(0.1))
    alpha = 0.5 * 0.1 - 0.5 * 0.3
    assert found.lrs == pytest.approx((math.exp(alpha) - math.exp(-1)) / (math.exp(1) - math.exp(-1)))
    assert found.lrs == pytest.approx(0.536958 / 2.350402, abs=1e-6)  # (e^-0.1 - e^-1) / (e - e^-1)


def test_the_ends_of_the_scale():
    assert relative_scores(1, 0, 0).lrs == pytest.approx(1)
    assert relative_scores(0, 1, 1).lrs == pytest.approx(0)
    assert relative_scores(0.5, 0.5, 0.5).lrs == pytest.approx((1 - math.exp(-1)) / (math.e - math.exp(-1)))


def test_the_weight_chooses_between_the_two():
    only_random = relative_scores(0.4, 0.9, 0.1, weight=1).lrs
    assert only_random == relative_scores(0.4, 0.5, 0.1, weight=1).lrs
    assert only_random > relative_scores(0.4, 0.9, 0.1, weight=0).lrs


def test_percentages_are_refused():
    with pytest.raises(ValueError, match="fractions"):
        relative_scores(30.0, 60.0, 20.0)
