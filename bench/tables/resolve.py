"""How many distillation seeds the interval of a difference needs, and whether more networks would be cheaper.

The rule looks at widths only, never at the difference itself. It has a first stage of `FIRST` seeds and at most doubles them
from look to look: a rule that may stop at three seeds stops where three seeds happen to agree, and its intervals hold the truth
too rarely. What this rule keeps of the 95 % is simulated by `benchmarks/stopping.py`; docs/statistics.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from bench.results.records import Record
from bench.tables import stats
from bench.tables.stats import LEVEL, t_quantile

FIRST = 8
"""Seeds before a pair is judged at all."""

HOPELESS = 12
"""Seeds before it is believed that networks alone keep an interval too wide."""

MOST = 50
"""Seeds after which none are added."""

_ENDLESS = 10_000
_MOST_NETWORKS = 20


@final
@dataclass(frozen=True)
class Spread:
    """The variances that a difference of two methods is made of, over seeds, over networks, and over the rest.

    With a single network, ``seeds`` holds the rest too.
    """

    seeds: float
    networks: float
    rest: float

    def half_width(self, seeds: int, networks: int) -> float:
        """Half the interval to expect (`bench.tables.stats.interval`) with at least two seeds."""
        over_seeds = (self.seeds + self.rest / networks) / seeds
        over_networks = (self.networks + self.rest / seeds) / networks if networks > 1 else 0.0
        square = over_seeds + over_networks
        if not square:
            return 0.0
        among = over_seeds**2 / (seeds - 1) + (over_networks**2 / (networks - 1) if over_networks else 0.0)
        return t_quantile(LEVEL, square**2 / among) * math.sqrt(square)

    def seeds_for(self, target: float, networks: int) -> int | None:
        """The fewest seeds, from two on, with which half the interval is at most ``target``; None if no number is enough."""
        low, high = 1, 2
        while self.half_width(high, networks) > target:
            if high >= _ENDLESS:
                return None
            low, high = high, min(2 * high, _ENDLESS)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.half_width(middle, networks) <= target else (middle, high)
        return high


def spread(values: Sequence[Sequence[float]]) -> Spread:
    """The variances of a crossed difference; none is below zero. See `unbiased_spread`."""
    return positive(unbiased_spread(values))


def positive(found: Spread) -> Spread:
    """The same, with zero for what is below it."""
    return Spread(max(0.0, found.seeds), max(0.0, found.networks), max(0.0, found.rest))


def unbiased_spread(values: Sequence[Sequence[float]]) -> Spread:
    """The variances of a crossed difference, from its sums of squares. Where there is little, chance takes one below zero.

    Args:
        values: one row per seed, at least two, with one value per network.

    Raises:
        ValueError: a row lacks some, or there is one row only.
    """
    seeds, networks = stats.shape(values)
    if seeds < 2:
        raise ValueError("a spread needs two seeds")
    mean = _mean([_mean(row) for row in values])
    of_seeds = [_mean(row) for row in values]
    of_networks = [_mean(column) for column in zip(*values, strict=True)]
    over_seeds = math.fsum((each - mean) ** 2 for each in of_seeds) / (seeds - 1)
    if networks == 1:
        return Spread(over_seeds, 0.0, 0.0)
    over_networks = math.fsum((each - mean) ** 2 for each in of_networks) / (networks - 1)
    left = [
        (value - row - column + mean) ** 2
        for row, line in zip(of_seeds, values, strict=True)
        for column, value in zip(of_networks, line, strict=True)
    ]
    rest = math.fsum(left) / ((seeds - 1) * (networks - 1))
    return Spread(over_seeds - rest / networks, over_networks - rest / seeds, rest)


@final
@dataclass(frozen=True)
class Look:
    """What the rule says of a pair.

    Attributes:
        seeds: that the pair has.
        networks: trained on each set.
        half_width: of its interval; None with too few seeds for one.
        needed: seeds that it will need by the spreads seen so far; None if no number is enough, or nothing is known.
        coming: seeds to have before the next look; ``seeds`` if none are to be added.
        spread: the variances; None with fewer than two seeds.
    """

    seeds: int
    networks: int
    half_width: float | None
    needed: int | None
    coming: int
    spread: Spread | None

    def narrow(self, target: float) -> bool:
        """Whether the pair has its first stage behind it, and an interval of at most ± ``target``."""
        return self.seeds >= FIRST and self.half_width is not None and self.half_width <= target


def look(values: Sequence[Sequence[float]], target: float) -> Look:
    """Looks at the differences of a pair.

    Args:
        values: one row per seed that both have, with one value per network.
        target: half the width that is wanted, above 0.
    """
    seeds, networks = stats.shape(values)
    if seeds < 2:
        return Look(seeds, networks, None, None, FIRST, None)
    found, interval = spread(values), stats.interval(values)
    half = interval.half_width if interval.covers in ("both", "seeds") else None
    needed = found.seeds_for(target, networks)
    if seeds < FIRST:
        coming = FIRST
    elif half is None or half <= target or (needed is None and seeds >= HOPELESS):
        coming = seeds
    else:
        aim = HOPELESS if needed is None else max(needed, seeds + 1)
        coming = max(seeds, min(aim, 2 * seeds, MOST))
    return Look(seeds, networks, half, needed, coming, found)


@final
@dataclass(frozen=True)
class Price:
    """Seconds of processors: ``seed`` for each distillation, ``network`` for each network that is trained on its set."""

    seed: float
    network: float

    def of(self, seeds: int, networks: int) -> float:
        """Of so many seeds with so many networks each."""
        return seeds * (self.seed + networks * self.network)


def price(records: Sequence[Record]) -> Price:
    """What a seed of a method costs, on average over its finished cells. Shared work counts in full: it may not be there yet."""
    judging = [_seconds(record, "evaluate", "probe") / max(1, len(record.evaluations)) for record in records]
    return Price(_mean([_seconds(record, "upstream", "distil") for record in records]), _mean(judging))


@final
@dataclass(frozen=True)
class Design:
    """A number of seeds and of networks on each set, with its price."""

    seeds: int
    networks: int
    seconds: float


def design(spread: Spread, price: Price, target: float, networks: int) -> Design | None:
    """The seeds that the rule will take to ± ``target`` with a number of networks; None if no number is enough."""
    seeds = spread.seeds_for(target, networks)
    if seeds is None:
        return None
    seeds = max(FIRST, seeds)
    return Design(seeds, networks, price.of(seeds, networks))


def cheapest(spread: Spread, price: Price, target: float) -> Design | None:
    """The cheapest of two to twenty networks a set.

    In a nested design this is m = sqrt(distil / judge * rest / seeds). Here every seed meets the same networks, so what these
    do to a difference stays however many seeds there are, and the numbers are tried one by one.
    """
    found = [design(spread, price, target, networks) for networks in range(2, _MOST_NETWORKS + 1)]
    return min((each for each in found if each is not None), key=lambda each: each.seconds, default=None)


def _seconds(record: Record, *phases: str) -> float:
    return math.fsum(record.costs[phase].device_seconds for phase in phases if phase in record.costs)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
