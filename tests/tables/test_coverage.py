"""What intervals and tests promise, simulated: how often an interval holds the truth, how often a table is wrong.

Accuracies are drawn from the crossed model with spreads in points as they are seen in practice, and with each one absent.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.tables.bootstrap import bootstrap_interval
from bench.tables.comparisons import compare
from bench.tables.stats import differences, interval, t_quantile

TABLES = 1000
METHODS = 4

# Standard deviations of seeds, networks and the rest, in points.
SPREADS = [(2, 1.5, 1), (0, 1.5, 1), (2, 0, 1), (2, 1.5, 0)]


def tables(seeds, networks, spreads, count=TABLES, methods=METHODS):
    """Accuracies (table, method, seed, network) of methods that are all equally good: 0."""
    rng = np.random.default_rng([seeds, networks, *map(int, np.multiply(spreads, 10))])
    of_seeds, of_networks, rest = spreads
    drawn = of_seeds * rng.normal(size=(count, methods, seeds, 1))
    drawn = drawn + of_networks * rng.normal(size=(count, methods, 1, networks))
    return drawn + rest * rng.normal(size=(count, methods, seeds, networks))


def coverage(found):
    return np.mean([interval.low <= 0 <= interval.high for interval in found])


@pytest.mark.parametrize("spreads", SPREADS)
@pytest.mark.parametrize(("seeds", "networks"), [(3, 3), (3, 5), (5, 5)])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, networks, spreads):
    drawn = tables(seeds, networks, spreads).tolist()
    assert 0.93 <= coverage(interval(values) for table in drawn for values in table) <= 0.97


def test_where_neither_seeds_nor_networks_matter_an_interval_is_wide_not_narrow():
    drawn = tables(3, 5, (0, 0, 1), methods=1).tolist()
    assert coverage(interval(values) for table in drawn for values in table) >= 0.97


def test_paired_intervals_hold_the_true_difference():
    """Two methods that share a part of their seeds' and networks' luck, one 3 points better."""
    shared = tables(3, 5, (2, 1.5, 0), methods=1)
    drawn = shared + tables(3, 5, (1, 0.8, 1), methods=2)
    found = [interval(differences(by_seed(a + 3), by_seed(b))) for a, b in drawn]
    assert 0.93 <= np.mean([each.low <= 3 <= each.high for each in found]) <= 0.97


@pytest.mark.parametrize("spreads", [*SPREADS, (0, 0, 1)])
@pytest.mark.parametrize(("seeds", "networks"), [(3, 5), (5, 5)])
def test_a_table_of_equal_methods_seldom_tells_any_apart(seeds, networks, spreads):
    rankings = [compare([by_seed(values) for values in table]) for table in tables(seeds, networks, spreads, 500)]
    assert np.mean([set(ranking.ranks) != {1} for ranking in rankings]) <= 0.06


def test_real_differences_are_found():
    drawn = tables(5, 5, (2, 1.5, 1), 200, 3) + np.array([0, 10, 20])[:, None, None]
    rankings = [compare([by_seed(values) for values in table]) for table in drawn]
    assert np.mean([ranking.ranks == (3, 2, 1) for ranking in rankings]) >= 0.75


UNEQUAL = {
    "one method spreads ten times as far": lambda rng, count: np.where(np.arange(METHODS) == 0, 10.0, 1.0),
    "every method has its own": lambda rng, count: np.exp(rng.normal(0, 0.5, (count, METHODS))),
    "half of the methods hardly spread": lambda rng, count: np.where(np.arange(METHODS) % 2 == 0, 0.05, 1.0),
}


@pytest.mark.parametrize("spread", UNEQUAL)
@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_unequal_spreads_and_heavy_tails_do_not_raise_the_error(spread, tail):
    rng = np.random.default_rng(5)
    count = 500
    scale = np.broadcast_to(UNEQUAL[spread](rng, count), (count, METHODS))[..., None, None]

    def draw(shape):
        return rng.normal(size=shape) if tail == "normal" else rng.standard_t(3, shape) / np.sqrt(3)

    drawn = 2 * scale * draw((count, METHODS, 3, 1)) + scale * draw((count, METHODS, 1, 3))
    drawn = drawn + draw((count, METHODS, 3, 3))
    rankings = [compare([by_seed(values) for values in table]) for table in drawn]
    assert np.mean([set(ranking.ranks) != {1} for ranking in rankings]) <= 0.06


def test_three_seeds_tell_methods_apart_that_differ_by_what_the_table_says_it_can_see():
    """Fourteen methods, one of them better: it is found about as often as the remark under the table says."""
    drawn = tables(3, 3, (2, 1, 1), 60, 14)
    visible = np.median([compare([by_seed(values) for values in table]).visible for table in drawn])
    assert 8 < visible < 14  # own spreads alone need more than 40 points
    drawn[:, 0] += visible
    found = [
        sum(test.significant for test in compare([by_seed(values) for values in table]).tests if test.first == 0)
        for table in drawn
    ]
    assert 0.6 < np.mean(found) / 13 < 0.95


def test_what_was_not_chosen_covers_too_rarely():
    """Student over the seeds' means alone, and the percentile bootstrap: why neither is the default."""
    drawn = tables(3, 5, (0, 1.5, 1), methods=1)[:, 0]
    means = drawn.mean(axis=2)
    half = t_quantile(0.95, 2) * means.std(axis=1, ddof=1) / np.sqrt(3)
    assert np.mean(np.abs(means.mean(axis=1)) <= half) < 0.80
    found = [bootstrap_interval(values, resamples=499) for values in tables(3, 5, (2, 1.5, 1), 300, 1)[:, 0].tolist()]
    assert coverage(found) < 0.88


def by_seed(values):
    return {seed: dict(enumerate(row)) for seed, row in enumerate(values.tolist())}
