"""Which methods of a leaderboard can be told apart: paired tests of all pairs, Holm-corrected, and the ranks that follow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from bench.tables import stats
from bench.tables.stats import ENOUGH_SEEDS, Trainings

ALPHA = 0.05


@final
@dataclass(frozen=True)
class PairedTest:
    """Two methods compared on the seeds and networks they share.

    Attributes:
        first, second: places of the methods; the first has the higher mean.
        difference: mean of first minus second.
        p: two-sided, uncorrected.
        corrected: by Holm over all pairs.
    """

    first: int
    second: int
    difference: float
    p: float
    corrected: float

    @property
    def significant(self) -> bool:
        """Whether the first is better, beyond chance."""
        return self.corrected < ALPHA


@final
@dataclass(frozen=True)
class Ranking:
    """What the tests of all pairs say.

    Attributes:
        ranks: of each method, 1 + the number of methods that are significantly better than it.
        tied: for each method, whether it is the best mean or not significantly below it.
        tests: one of each pair.
    """

    ranks: tuple[int, ...]
    tied: tuple[bool, ...]
    tests: tuple[PairedTest, ...]


def untestable(methods: Sequence[Trainings]) -> str | None:
    """Why these methods cannot be tested against each other, or None if they can.

    Args:
        methods: complete figures of each: the same networks, and the same seeds where there are seeds.
    """
    seeds = [len(method) for method in methods if None not in method]
    if seeds and min(seeds) < ENOUGH_SEEDS:
        return f"fewer than {ENOUGH_SEEDS} distillation seeds"
    if min(len(networks) for method in methods for networks in method.values()) < 2:
        return "a single network trained on each set"
    return None


def compare(methods: Sequence[Trainings]) -> Ranking:
    """Tests every pair on shared seeds and networks.

    Args:
        methods: complete figures of each, at least one.

    Raises:
        ValueError: they are not complete, or too few trainings for a test (see `untestable`).
    """
    margins = [stats.margins(method) for method in methods]
    means = [each.mean for each in margins]
    pairs = []
    for i, j in itertools.combinations(range(len(methods)), 2):
        first, second = (i, j) if means[i] >= means[j] else (j, i)
        p = stats.p_value(margins[first], margins[second])
        if p is None:
            raise ValueError("a single training is too few for a test")
        pairs.append((first, second, means[first] - means[second], p))
    corrected = stats.holm([p for *_, p in pairs])
    tests = tuple(PairedTest(*pair, corrected=p) for pair, p in zip(pairs, corrected, strict=True))
    beaten = [test.second for test in tests if test.significant]
    best = means.index(max(means))
    below = {test.second for test in tests if test.first == best and test.significant}
    return Ranking(
        ranks=tuple(1 + beaten.count(place) for place in range(len(methods))),
        tied=tuple(place not in below for place in range(len(methods))),
        tests=tests,
    )
