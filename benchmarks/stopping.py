"""What the stopping rule of ``--resolve`` keeps of 95 %: ``python benchmarks/stopping.py``, a minute on one core.

Differences of two methods are drawn from the crossed model, seeds by networks, and the rule of `bench.tables.resolve` adds seeds
until the interval is narrow. Prints how often the interval that it ends with holds the truth, the seeds that it took, and the
same for a rule that looks after every seed, from three on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np

from bench.tables import resolve, stats

TABLES = 1000
SPREADS = {"small": (2.0, 0.0, 1.0), "large": (4.0, 0.0, 2.0), "with networks": (2.0, 0.5, 1.0)}
"""Standard deviations over seeds, over networks and of the rest, in points."""

NETWORKS = (1, 3, 5)
TARGETS = (2.0, 3.0)

Values = list[list[float]]


def draws(kind: str, rng: np.random.Generator, networks: int, spreads: tuple[float, float, float]) -> Iterator[Values]:
    """Differences whose mean is 0, as many seeds as any rule may take.

    Args:
        kind: ``normal``, ``heavy tails`` (Student's t with 3 degrees of freedom, scaled to the same variance), or ``unequal``
            (normal; every table's spreads are multiplied by a log-normal factor, sigma 0.5).
        rng: what is drawn from.
        networks: trained on each set.
        spreads: see `SPREADS`.
    """

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_t(3, shape) / np.sqrt(3) if kind == "heavy tails" else rng.normal(size=shape)

    seeds, among, rest = spreads
    for _ in range(TABLES):
        factor = np.exp(rng.normal(0, 0.5)) if kind == "unequal" else 1.0
        values = seeds * draw(resolve.MOST, 1) + among * draw(1, networks) + rest * draw(resolve.MOST, networks)
        yield (factor * values).tolist()


def by_rule(values: Values, target: float) -> int:
    """Seeds at which the rule stops."""
    seeds = resolve.FIRST
    while (coming := resolve.look(values[:seeds], target).coming) > seeds:
        seeds = coming
    return seeds


def after_every_seed(values: Values, target: float) -> int:
    """Seeds at which a rule stops that looks after every seed, from three on."""
    for seeds in range(stats.ENOUGH_SEEDS, len(values)):
        half = stats.interval(values[:seeds]).half_width
        if half is not None and half <= target:
            return seeds
    return len(values)


def measured(rule: Callable[[Values, float], int], tables: list[Values], target: float) -> tuple[float, float, float]:
    """Shares of tables whose interval holds the truth, and whose interval is narrow; the mean number of seeds."""
    held, narrow, taken = 0, 0, 0
    for values in tables:
        seeds = rule(values, target)
        found = stats.interval(values[:seeds])
        assert found.half_width is not None
        held += abs(found.mean) <= found.half_width
        narrow += found.half_width <= target
        taken += seeds
    return held / len(tables), narrow / len(tables), taken / len(tables)


def main() -> None:
    """Prints a line for each design."""
    rng = np.random.default_rng(0)
    print("| spreads | networks | ± points | draws | covers | seeds | narrow | after every seed: covers | seeds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, spreads in SPREADS.items():
        for networks in NETWORKS:
            if networks == 1 and spreads[1]:
                continue
            for kind in ("normal", "heavy tails", "unequal"):
                tables = list(draws(kind, rng, networks, spreads))
                for target in TARGETS:
                    held, narrow, seeds = measured(by_rule, tables, target)
                    other, _, fewer = measured(after_every_seed, tables, target)
                    figures = f"{100 * held:.1f} | {seeds:.0f} | {100 * narrow:.0f} % | {100 * other:.1f} | {fewer:.0f}"
                    print(f"| {name} | {networks} | {target:g} | {kind} | {figures} |")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
