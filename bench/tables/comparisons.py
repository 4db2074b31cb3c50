"""Which methods of a leaderboard can be told apart: paired tests of all pairs, Holm-corrected, and the ranks that follow.

From three methods on, the spread of each pair is in part that of all (`bench.tables.spreads`). Two methods have only their own.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from bench.tables import stats
from bench.tables.spreads import pair_error
from bench.tables.stats import ENOUGH_SEEDS, Margins, Trainings

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
        visible: the difference that the tests of half of all pairs would find four times in five; None with fewer than three
            methods.
    """

    ranks: tuple[int, ...]
    tied: tuple[bool, ...]
    tests: tuple[PairedTest, ...]
    visible: float | None = None


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
    places = list(itertools.combinations(range(len(methods)), 2))
    ordered = [(i, j) if means[i] >= means[j] else (j, i) for i, j in places]
    p_values, visible = _pooled(margins, ordered) if len(methods) > 2 else _alone(margins, ordered)
    pairs = [(i, j, means[i] - means[j], p) for (i, j), p in zip(ordered, p_values, strict=True)]
    corrected = stats.holm(p_values)
    tests = tuple(PairedTest(*pair, corrected=p) for pair, p in zip(pairs, corrected, strict=True))
    beaten = [test.second for test in tests if test.significant]
    best = means.index(max(means))
    below = {test.second for test in tests if test.first == best and test.significant}
    return Ranking(
        ranks=tuple(1 + beaten.count(place) for place in range(len(methods))),
        tied=tuple(place not in below for place in range(len(methods))),
        tests=tests,
        visible=visible,
    )


def _pooled(margins: Sequence[Margins], pairs: Sequence[tuple[int, int]]) -> tuple[list[float], float]:
    """P-values of pairs among at least three methods, and the difference that they can see.

    The first step of Holm's correction, which a lone difference must pass, says what can be seen.
    """
    _require_shared(margins)
    errors = [pair_error(margins, i, j) for i, j in pairs]
    p_values = [error.p_value(margins[i].mean - margins[j].mean) for error, (i, j) in zip(errors, pairs, strict=True)]
    return p_values, statistics.median(error.visible(ALPHA / len(pairs)) for error in errors)


def _alone(margins: Sequence[Margins], pairs: Sequence[tuple[int, int]]) -> tuple[list[float], None]:
    """The p-value of a pair without other methods beside it."""
    p_values = [stats.p_value(margins[i], margins[j]) for i, j in pairs]
    if None in p_values:
        raise ValueError("a single training is too few for a test")
    return [p for p in p_values if p is not None], None


def _require_shared(margins: Sequence[Margins]) -> None:
    seeds = {frozenset(method.seeds) for method in margins if None not in method.seeds}
    if len(seeds) > 1 or len({frozenset(method.networks) for method in margins}) > 1:
        raise ValueError("a paired test needs methods with the same seeds and networks")
