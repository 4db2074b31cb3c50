"""Methods over several datasets: mean ranks, Friedman's test, Nemenyi's critical difference (Demsar, JMLR 7, 2006)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from bench.tables.stats import chi_squared_tail, range_quantile

ALPHA = 0.05

# Below this many datasets the tests seldom find anything.
ENOUGH_DATASETS = 5


@final
@dataclass(frozen=True)
class MeanRanks:
    """How methods rank over datasets.

    Attributes:
        datasets: in the order given.
        ranks: method to mean rank, the best (lowest) first; ties within a dataset share the mean of their ranks.
        statistic, p: Friedman's chi-squared with ``len(ranks) - 1`` degrees of freedom, and its p-value.
        difference: mean ranks further apart than this differ significantly (Nemenyi).
    """

    datasets: tuple[str, ...]
    ranks: Mapping[str, float]
    statistic: float
    p: float
    difference: float

    @property
    def significant(self) -> bool:
        """Whether Friedman's test finds any difference; if not, no pair is called different."""
        return self.p < ALPHA

    def groups(self) -> list[tuple[str, ...]]:
        """The largest runs of methods, by rank, of which no two differ significantly."""
        names, ranks = list(self.ranks), list(self.ranks.values())
        reach = self.difference if self.significant else math.inf
        # Ranks are multiples of 1 / (2 datasets); the margin only absorbs rounding.
        ends = [sum(other <= rank + reach + 1e-9 for other in ranks) for rank in ranks]
        starts = [place for place, end in enumerate(ends) if place == 0 or end > ends[place - 1]]
        return [tuple(names[start : ends[start]]) for start in starts]


def mean_ranks(scores: Mapping[str, Mapping[str, float]]) -> MeanRanks:
    """Ranks the methods on every dataset and tests the ranks.

    Args:
        scores: dataset to method to score, the higher the better; every dataset has the same methods.

    Raises:
        ValueError: fewer than 2 datasets or 3 methods, or a dataset with other methods.
    """
    methods = sorted({method for of_dataset in scores.values() for method in of_dataset})
    if len(scores) < 2 or len(methods) < 3 or any(len(of_dataset) < len(methods) for of_dataset in scores.values()):
        raise ValueError("needs at least 2 datasets with the same methods, at least 3 of them")
    table = [_ranks([of_dataset[method] for method in methods]) for of_dataset in scores.values()]
    means = [sum(column) / len(table) for column in zip(*table, strict=True)]
    statistic = _friedman(table, means)
    quantile = range_quantile(1 - ALPHA, len(methods)) / math.sqrt(2)
    return MeanRanks(
        datasets=tuple(scores),
        ranks=dict(sorted(zip(methods, means, strict=True), key=lambda item: (item[1], item[0]))),
        statistic=statistic,
        p=chi_squared_tail(statistic, len(methods) - 1),
        difference=quantile * math.sqrt(len(methods) * (len(methods) + 1) / (6 * len(table))),
    )


def _friedman(table: Sequence[Sequence[float]], means: Sequence[float]) -> float:
    """Friedman's chi-squared of ranks, one row per dataset, corrected for ties; 0 where every rank is tied."""
    middle = (len(means) + 1) / 2
    between = len(table) ** 2 * math.fsum((mean - middle) ** 2 for mean in means)
    within = math.fsum((rank - middle) ** 2 for row in table for rank in row)
    return (len(means) - 1) * between / within if within else 0.0


def _ranks(scores: Sequence[float]) -> list[float]:
    """1 for the highest; equal scores share the mean of their ranks."""
    rounded = [round(score, 12) for score in scores]  # equal means of other summands may differ in their last digit
    return [sum(other > score for other in rounded) + (rounded.count(score) + 1) / 2 for score in rounded]
