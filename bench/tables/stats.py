"""Means and intervals of a crossed design: distillation seeds by networks, network k being the same for every method."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LEVEL = 0.95

# From this many distillation seeds on, an interval speaks of new seeds.
ENOUGH_SEEDS = 3

Trainings = Mapping[int | None, Mapping[int, float]]
"""A figure of each training: distillation seed (None where nothing is random) to network to value."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: over the seeds' means with enough seeds, else over all trainings (the same where no training is missing).
        low, high: ends of the interval; None where a single training leaves none.
        seeds: distillation seeds.
        networks: networks per seed, the most where seeds differ.
        trainings: values in all; ``seeds * networks`` where none is missing.
        level: confidence level.
        covers: what the interval speaks of: ``seeds`` (a new distillation), or only ``networks`` (the same sets, new
            networks); None where there is no interval.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    networks: int
    trainings: int
    level: float
    covers: Literal["seeds", "networks"] | None

    @property
    def half_width(self) -> float | None:
        """The figure behind ``±``, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def interval(values: Sequence[Sequence[float]], level: float = LEVEL) -> Interval:
    """Student's t interval of the mean of a figure.

    With at least three distillation seeds it is taken over the means of the seeds (n - 1 degrees of freedom): networks
    trained on one set are not independent draws of the method. With fewer it is taken over all trainings.

    Args:
        values: one sequence per distillation seed with one value per network.
        level: confidence level, in (0, 1).

    Raises:
        ValueError: there is no value, or a seed without one.
    """
    if not values or not all(values):
        raise ValueError("an interval needs at least one value per seed")
    every = [value for row in values for value in row]
    covers: Literal["seeds", "networks"] = "seeds" if len(values) >= ENOUGH_SEEDS else "networks"
    sample = [_mean(row) for row in values] if covers == "seeds" else every
    mean = _mean(sample)
    counts = (len(values), max(map(len, values)), len(every), level)
    if len(sample) == 1:
        return Interval(mean, None, None, *counts, None)
    dof = len(sample) - 1
    variance = math.fsum((value - mean) ** 2 for value in sample) / dof
    half = t_quantile(level, dof) * math.sqrt(variance / len(sample))
    return Interval(mean, mean - half, mean + half, *counts, covers)


def paired(a: Trainings, b: Trainings, level: float = LEVEL) -> Interval | None:
    """The interval of ``a - b`` over the (seed, network) pairs that both have; None if they share none.

    The seed of a method without randomness (None) is paired with every seed of the other.
    """
    differences: list[list[float]] = []
    for seed_a, seed_b in _shared_seeds(a, b):
        shared = sorted(a[seed_a].keys() & b[seed_b].keys())
        if shared:
            differences.append([a[seed_a][network] - b[seed_b][network] for network in shared])
    return interval(differences, level) if differences else None


def _shared_seeds(a: Trainings, b: Trainings) -> list[tuple[int | None, int | None]]:
    if None in a:
        return [(None, seed) for seed in _ordered(b)]
    if None in b:
        return [(seed, None) for seed in _ordered(a)]
    return [(seed, seed) for seed in _ordered(a) if seed in b]


def _ordered(values: Trainings) -> list[int | None]:
    return sorted(values, key=lambda seed: -1 if seed is None else seed)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


@functools.cache
def t_quantile(level: float, dof: int) -> float:
    """The t with ``P(|T| <= t) = level`` for Student's T with ``dof`` degrees of freedom.

    Written out because importing scipy.special takes longer than a whole table may. The probability is a finite sum for
    whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4); it is inverted by bisection over the angle
    ``arctan(t / sqrt(dof))``, to the last bit.

    Raises:
        ValueError: ``level`` is not in (0, 1), or ``dof`` below 1.
    """
    if not 0 < level < 1 or dof < 1:
        raise ValueError(f"needs 0 < level < 1 and dof >= 1, not level {level} and dof {dof}")
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _central_probability(middle, dof) < level else (low, middle)
    return math.sqrt(dof) * math.tan(high)


def _central_probability(angle: float, dof: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = dof % 2 == 1
    term = cosine if odd else 1.0
    total = term if dof > 1 else 0.0
    for k in range(3 if odd else 2, dof - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
