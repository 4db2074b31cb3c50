"""How far chance moves the differences of the methods of one leaderboard, pooled over methods.

Three seeds say little about the spread of one pair, but all pairs of a leaderboard together say much. So the variance that a
pair is tested with is the mean of its own and of the pooled one. Pooled variances alone call too many pairs different where
methods have unequal spreads; own variances alone find nothing. The simulation that chose this stands in docs/statistics.md, and
`tests/tables/test_coverage.py` repeats a part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from bench.tables.stats import Margins, t_quantile, t_tail

OWN = 0.5
"""The share of a pair's own variance in the one that it is tested with."""

POWER = 0.8
"""How often a difference must be found to count as one that a table can see."""


@final
@dataclass(frozen=True)
class PairError:
    """The squared standard error of the difference of two methods.

    Attributes:
        square: the estimate.
        dof: its degrees of freedom.
        even: what it would be if all methods had the same spread.
    """

    square: float
    dof: float
    even: float

    def p_value(self, difference: float) -> float:
        """Of equal means, two-sided."""
        if not self.square:
            return 0.0 if difference else 1.0
        return t_tail(difference / math.sqrt(self.square), self.dof)

    def visible(self, alpha: float) -> float:
        """The difference that a two-sided test at level ``alpha`` finds with probability `POWER`, at an even spread."""
        quantiles = t_quantile(1 - alpha, self.dof) + t_quantile(2 * POWER - 1, self.dof)
        return quantiles * math.sqrt(self.even)


def pair_error(methods: Sequence[Margins], first: int, second: int) -> PairError:
    """The error of the difference of two methods among at least three.

    Args:
        methods: margins of every method of the leaderboard: the same networks, and the same seeds where there are seeds.
        first, second: places of the two.

    Raises:
        ValueError: there is nothing to take a variance over.
    """
    by_network = [[method.networks[network] for network in sorted(method.networks)] for method in methods]
    by_seed = [None if None in method.seeds else _in_order(method.seeds) for method in methods]
    parts = [*_parts(by_network, first, second), *_parts(by_seed, first, second)]
    if not parts:
        raise ValueError("a single training is too few for a test")
    square, even = math.fsum(part.variance for part in parts), math.fsum(part.pooled for part in parts)
    if not square:
        return PairError(0.0, min(part.dof for part in parts), even)
    dof = min(_dof(parts, lambda part: part.variance), _dof(parts, lambda part: part.pooled))
    return PairError(square, dof, even)


# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """One of the independent variances that an error is made of.

    Attributes:
        variance: its estimate.
        pooled: what it would be if all methods had the same spread: steadier, for the degrees of freedom.
        dof: of the estimate.
    """

    variance: float
    pooled: float
    dof: int


def _dof(parts: Sequence[_Part], size: Callable[[_Part], float]) -> float:
    """Welch's and Satterthwaite's degrees of freedom of the sum of the parts."""
    sizes = [size(part) for part in parts]
    among = math.fsum(each**2 / part.dof for each, part in zip(sizes, parts, strict=True))
    return math.fsum(sizes) ** 2 / among if among else math.inf


def _in_order(means: Mapping[int | None, float]) -> list[float]:
    return [means[seed] for seed in sorted(means, key=str)]


def _parts(effects: Sequence[list[float] | None], first: int, second: int) -> list[_Part]:
    """The variances of one factor, seeds or networks: the pair's own, and that of the other methods.

    Args:
        effects: the means of each method over the levels of the factor; None for a method that does not have it.
        first, second: places of the pair.
    """
    rows = {place: row for place, row in enumerate(effects) if row is not None}
    drawn = [place for place in (first, second) if place in rows]
    count = len(rows[drawn[0]]) if drawn else 0
    if count < 2:
        return []
    signs = {place: 1.0 if place == first else -1.0 for place in drawn}
    own = _squares([[math.fsum(signs[place] * rows[place][k] for place in drawn) for k in range(count)]]) / (count - 1)
    every = _interaction(list(rows.values()))
    if len(drawn) == 2:  # the difference of two rows is one of the independent contrasts of all
        others, rows_left = max(0.0, every - own / 2 * (count - 1)), len(rows) - 2
    else:
        others = _interaction([row for place, row in rows.items() if place not in drawn])
        rows_left = max(0, len(rows) - 2)
    own_dof, others_dof = count - 1, rows_left * (count - 1)
    methods = len(drawn)  # how many methods' variances the difference holds
    share = own_dof / (own_dof + others_dof)  # of the pair in the pooled variance
    pooled = (own / methods * own_dof + others) / (own_dof + others_dof)
    weight = (OWN + (1 - OWN) * share) / count
    parts = [_Part(weight * own, weight * methods * pooled, own_dof)]
    if others_dof:
        weight = (1 - OWN) * (1 - share) * methods / count
        parts.append(_Part(weight * others / others_dof, weight * pooled, others_dof))
    return parts


def _interaction(rows: Sequence[Sequence[float]]) -> float:
    """The sum of squares of what is left of a table after its row and column means."""
    if not rows:
        return 0.0
    columns = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
    return _squares([[value - mean for value, mean in zip(row, columns, strict=True)] for row in rows])


def _squares(rows: Sequence[Sequence[float]]) -> float:
    """The sum of squares around each row's mean."""
    total = 0.0
    for row in rows:
        mean = math.fsum(row) / len(row)
        total += math.fsum((value - mean) ** 2 for value in row)
    return total
