"""Core-seconds to tell a method from `random`: ``python benchmarks/telling_apart.py [FOLDER] [POINTS]`` (results, 2).

Nothing is run. The spread of each method's gain over random and the seconds of its cells are those of the records in FOLDER.
From them come the seeds that an interval of ± POINTS needs, at least the first stage of ``run --resolve``, and the seconds that
these take: distilling and judging both methods, once a seed. Seconds are those that processors worked; on a GPU, of the GPU.

A few seeds tell little of one pair. So its spread is taken as pairs are tested: half its own, half the mean over the methods
of the table (`bench.tables.spreads`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import Evaluation
from bench.results.records import RecordStore
from bench.tables import resolve, stats
from bench.tables.figures import trainings
from bench.tables.leaderboard import leaderboards
from bench.tables.resolve import Design, Price, Spread
from bench.tables.rows import Leaderboard, Row
from bench.tables.spreads import OWN

HEAD = (
    "method",
    "gain over random",
    "seeds x networks",
    "core-seconds a seed",
    "seeds needed",
    "core-seconds",
    "cheapest",
)


@dataclass(frozen=True)
class Gain:
    """The differences of a method and `random`, one row per seed, and what a seed of both costs."""

    label: str
    values: list[list[float]]
    price: Price


def gains(board: Leaderboard) -> list[Gain]:
    """Of all methods of a leaderboard that share enough seeds with `random`."""
    bases = [row for row in board.rows if row.method == board.baseline]
    others = [row for row in board.rows if row.method != board.baseline and not row.reference and row.cells]
    found = [_gain(row, bases[0]) for row in others] if len(bases) == 1 and bases[0].cells else []
    return [gain for gain in found if gain is not None]


def _gain(row: Row, base: Row) -> Gain | None:
    values = stats.differences(*(trainings(each.cells, Evaluation.accuracy) for each in (row, base)))
    if values is None or len(values) < stats.ENOUGH_SEEDS:
        return None
    one, other = resolve.price(row.cells), resolve.price(base.cells)
    return Gain(row.label, values, Price(one.seed + other.seed, one.network + other.network))


def mean(spreads: Sequence[Spread], weights: Sequence[float]) -> Spread:
    """Each variance on average, also where chance took one below zero: cut off before, they would be too large."""
    kinds = [[getattr(spread, kind) for spread in spreads] for kind in ("seeds", "networks", "rest")]
    return Spread(*(math.fsum(w * v for w, v in zip(weights, kind, strict=True)) / sum(weights) for kind in kinds))


def line(gain: Gain, spread: Spread, points: float) -> list[str]:
    """The cells of a method's line."""
    interval = stats.interval(gain.values)
    ours = resolve.design(spread, gain.price, points / 100, interval.networks)
    best = resolve.cheapest(spread, gain.price, points / 100)
    return [
        gain.label,
        f"{100 * interval.mean:+.1f} ± {100 * (interval.half_width or 0.0):.1f}",
        f"{interval.seeds} x {interval.networks}",
        f"{gain.price.of(1, interval.networks):,.0f}",
        "no number is enough" if ours is None else str(ours.seeds),
        "" if ours is None else f"{ours.seconds:,.0f}",
        _of_best(best),
    ]


def _of_best(design: Design | None) -> str:
    return "" if design is None else f"{design.seeds} x {design.networks}: {design.seconds:,.0f}"


def main(folder: str = "results", points: str = "2") -> None:
    """Prints a table for each leaderboard of a folder."""
    for board in leaderboards(RecordStore(Path(folder)).all(history=False)):
        found = gains(board)
        spreads = [resolve.unbiased_spread(gain.values) for gain in found]
        if not found:
            continue
        print(f"\n{board.title}, ±{float(points):g} points\n\n| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
        pooled = mean(spreads, [1.0] * len(spreads))
        for gain, own in zip(found, spreads, strict=True):
            spread = resolve.positive(mean([own, pooled], [OWN, 1 - OWN]))
            print(f"| {' | '.join(line(gain, spread, float(points)))} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
