"""Means, intervals and tests of a crossed design: distillation seeds by networks, network k being the same for every seed.

The model is y_ij = mean + seed_i + network_j + rest_ij. The variance of the grand mean is that of the seed effects over the
number of seeds, plus that of the network effects over the number of networks, plus that of the rest over all trainings.
The variance of the seeds' means estimates the first and the last, that of the networks' means the second and the last.
Their sum counts the rest twice: never too little, and with no difference that could turn negative. Its degrees of freedom
are Welch's and Satterthwaite's. How often such intervals cover, simulated, stands in docs/statistics.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

LEVEL = 0.95

# From this many distillation seeds on, an interval speaks of new seeds.
ENOUGH_SEEDS = 3

Trainings = Mapping[int | None, Mapping[int, float]]
"""A figure of each training: distillation seed (None where nothing is random) to network to value."""

Covers = Literal["both", "seeds", "networks"]


@final
@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: over all trainings.
        low, high: ends of the interval; None where there are too few trainings for one.
        seeds: distillation seeds.
        networks: networks trained on each set.
        level: confidence level.
        covers: what the interval speaks of: ``both`` (a new distillation, judged by new networks), ``seeds`` (a new
            distillation, the same network), ``networks`` (the same sets, new networks); None where there is no interval.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    networks: int
    level: float
    covers: Covers | None

    @property
    def half_width(self) -> float | None:
        """The figure behind ``±``, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


Estimator = Callable[[Sequence[Sequence[float]]], Interval]
"""Makes an interval from one row per distillation seed with one value per network."""


@final
@dataclass(frozen=True)
class Margins:
    """Means of complete trainings: of each distillation seed over the networks, of each network over the seeds."""

    seeds: Mapping[int | None, float]
    networks: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Over all trainings."""
        return _mean(list(self.seeds.values()))


@final
@dataclass(frozen=True)
class _Error:
    """The squared standard error of a mean, with its degrees of freedom."""

    square: float
    dof: float

    def t(self, mean: float) -> float:
        """How many standard errors the mean is from zero."""
        return abs(mean) / math.sqrt(self.square) if self.square else math.inf if mean else 0.0


def interval(values: Sequence[Sequence[float]], level: float = LEVEL) -> Interval:
    """Student's t interval of the mean of a crossed figure.

    With at least three distillation seeds and two networks it allows for both. With one network it is over the seeds, with
    fewer seeds over the networks: the spread of one or two seeds says next to nothing about new ones.

    Args:
        values: one row per distillation seed with one value per network.
        level: confidence level, in (0, 1).

    Raises:
        ValueError: there is no value, or a row lacks some: no mean is taken over a partial set.
    """
    seeds, networks = shape(values)
    mean = _mean([value for row in values for value in row])
    covers = coverage(seeds, networks)
    if covers is None:
        return Interval(mean, None, None, seeds, networks, level, None)
    error = {"both": _over_both, "seeds": _over_seeds, "networks": _over_networks}[covers](values)
    half = t_quantile(level, error.dof) * math.sqrt(error.square)
    return Interval(mean, mean - half, mean + half, seeds, networks, level, covers)


def coverage(seeds: int, networks: int) -> Covers | None:
    """What an interval over so many seeds and networks can speak of; None: there is none."""
    if seeds >= ENOUGH_SEEDS:
        return "both" if networks > 1 else "seeds"
    return "networks" if networks > 1 else None


def margins(values: Trainings) -> Margins:
    """The means of a method.

    Raises:
        ValueError: there is no value, or a seed lacks some.
    """
    rows = {seed: [values[seed][network] for network in sorted(values[seed])] for seed in _ordered(values)}
    shape(list(rows.values()))
    networks = sorted(next(iter(values.values())))
    columns = zip(*rows.values(), strict=True)
    return Margins(
        {seed: _mean(row) for seed, row in rows.items()}, dict(zip(networks, map(_mean, columns), strict=True))
    )


def p_value(a: Margins, b: Margins) -> float | None:
    """The p-value of equal means, two-sided, paired by seed and network; None where a single training is shared.

    The largest of three: over seeds, over networks, and over both with their errors added. A corrected test looks far into
    the tail, where the added errors alone reject up to twice as often as they should if only one of them is at work.

    Raises:
        ValueError: they do not have the same networks, and the same seeds where both have seeds.
    """
    if a.networks.keys() != b.networks.keys() or (
        None not in {*a.seeds, *b.seeds} and a.seeds.keys() != b.seeds.keys()
    ):
        raise ValueError("a paired test needs methods with the same seeds and networks")
    by_seed = [a.seeds[i] - b.seeds[j] for i, j in _shared_seeds(a.seeds, b.seeds)]
    by_network = [value - b.networks[network] for network, value in a.networks.items()]
    mean = _mean(by_seed)
    errors = [_error(means) for means in (by_seed, by_network) if len(means) > 1]
    errors += [_joined(*errors)] if len(errors) > 1 else []
    largest, fewest = None, math.inf
    for t, dof in sorted((error.t(mean), error.dof) for error in errors):
        if dof < fewest:  # else its p-value is below that of the smaller t before it
            largest, fewest = max(largest or 0.0, t_tail(t, dof)), dof
    return largest


def differences(a: Trainings, b: Trainings) -> list[list[float]] | None:
    """``a - b``, one row per distillation seed that both have, one column per network that all of these have; None if none.

    The seed of a method without randomness (None) is paired with every seed of the other.
    """
    pairs = _shared_seeds(a, b)
    if not pairs:
        return None
    first = a[pairs[0][0]]
    if all(a[i].keys() == first.keys() == b[j].keys() for i, j in pairs):
        networks = sorted(first)
    else:
        networks = sorted(set.intersection(*(set(a[i]).intersection(b[j]) for i, j in pairs)))
    return [[a[i][network] - b[j][network] for network in networks] for i, j in pairs] if networks else None


def grand_mean(values: Trainings) -> float:
    """The mean over all trainings; they must be complete for it to mean anything."""
    return _mean([value for by_network in values.values() for value in by_network.values()])


def shape(values: Sequence[Sequence[float]]) -> tuple[int, int]:
    """Seeds and networks.

    Raises:
        ValueError: there is no value, or a row lacks some.
    """
    sizes = {len(row) for row in values}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"needs the same number of values for each seed, at least one; has {sorted(sizes)}")
    return len(values), sizes.pop()


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the family-wise error stays below alpha where each is compared to it."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        running = max(running, min(1.0, (len(p_values) - done) * p_values[place]))
        adjusted[place] = running
    return adjusted


# ----------------------------------------------------------------------------------------------------------------------
# Distributions. SciPy is imported where a figure needs it: its import takes longer than a table without figures.


def t_tail(t: float, dof: float) -> float:
    """``P(|T| >= |t|)`` for Student's T with ``dof`` degrees of freedom, which need not be whole.

    Raises:
        ValueError: ``dof`` is not above 0.
    """
    if not dof > 0:
        raise ValueError(f"needs dof > 0, not {dof}")
    from scipy.special import stdtr

    return float(2 * stdtr(dof, -abs(t)))


@functools.lru_cache(maxsize=4096)
def t_quantile(level: float, dof: float) -> float:
    """The t with ``P(|T| <= t) = level`` for Student's T with ``dof`` degrees of freedom.

    Raises:
        ValueError: ``level`` is not in (0, 1), or ``dof`` not above 0.
    """
    if not 0 < level < 1 or not dof > 0:
        raise ValueError(f"needs 0 < level < 1 and dof > 0, not level {level} and dof {dof}")
    from scipy.special import stdtrit

    return float(stdtrit(dof, (1 + level) / 2))


def chi_squared_tail(value: float, dof: int) -> float:
    """``P(X >= value)`` for chi-squared X with ``dof`` degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(dof, value))


@functools.lru_cache(maxsize=4096)
def range_quantile(level: float, count: int) -> float:
    """The q with ``P(largest - smallest <= q) = level`` for ``count`` standard normal draws, at least 2.

    This is the studentised range for infinitely many degrees of freedom. `scipy.stats.studentized_range` has it, too, but
    importing `scipy.stats` takes longer than any table, and also imports torch.
    """
    import numpy as np
    from scipy.special import ndtr

    step = 1 / 8
    smallest = np.arange(-72, 73) * step
    density = np.exp(-(smallest**2) / 2) / math.sqrt(2 * math.pi)

    def probability(width: float) -> float:
        """All other draws lie within ``width`` above the smallest; the trapezoid rule is exact to rounding here."""
        others = (ndtr(smallest + width) - ndtr(smallest)) ** (count - 1)
        return float(count * step * (density * others).sum())

    low, high = 0.0, 20.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < level else (low, middle)
    return high


# ----------------------------------------------------------------------------------------------------------------------


def _over_seeds(values: Sequence[Sequence[float]]) -> _Error:
    return _error([_mean(row) for row in values])


def _over_networks(values: Sequence[Sequence[float]]) -> _Error:
    return _error([_mean(column) for column in zip(*values, strict=True)])


def _over_both(values: Sequence[Sequence[float]]) -> _Error:
    return _joined(_over_seeds(values), _over_networks(values))


def _joined(a: _Error, b: _Error) -> _Error:
    """The errors added, with Welch's and Satterthwaite's degrees of freedom."""
    square = a.square + b.square
    if not square:
        return _Error(0.0, min(a.dof, b.dof))
    return _Error(square, 1 / ((a.square / square) ** 2 / a.dof + (b.square / square) ** 2 / b.dof))


def _error(sample: Sequence[float]) -> _Error:
    mean, dof = _mean(sample), len(sample) - 1
    return _Error(math.fsum([(value - mean) ** 2 for value in sample]) / dof / len(sample), dof)


def _shared_seeds(a: Collection[int | None], b: Collection[int | None]) -> list[tuple[int | None, int | None]]:
    if None in a:
        return [(None, seed) for seed in _ordered(b)]
    if None in b:
        return [(seed, None) for seed in _ordered(a)]
    return [(seed, seed) for seed in _ordered(a) if seed in b]


def _ordered(values: Iterable[int | None]) -> list[int | None]:
    return sorted(values, key=lambda seed: -1 if seed is None else seed)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
