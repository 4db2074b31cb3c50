"""How gradient matching spends its updates: networks, matchings in each, and epochs of training between two matchings."""

from __future__ import annotations

from typing import NamedTuple

from bench.api import Count, CountOrZero

NETWORKS = 1000
"""How many networks the image paper takes (Zhao et al., ICLR 2021)."""

PUBLISHED = {1: (1, 1), 5: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}
"""Outer and inner loops by images per class, from the authors' code (github.com/VICO-UoE/DatasetCondensation); those of 5 from
the video release."""


class Loops(NamedTuple):
    """Algorithm 1's counts.

    Attributes:
        networks: newly initialised networks (K).
        outer: matchings in each (T).
        inner: epochs that the network is trained on the set after each matching but its last.
    """

    networks: int
    outer: int
    inner: int

    def updates(self) -> int:
        """How often the set moves."""
        return self.networks * self.outer


def loops(per_class: int, steps: Count | None, outer: Count | None, inner: CountOrZero | None) -> Loops:
    """The counts of learning ``per_class`` images (or clips) of each class.

    Args:
        per_class: see above. Between two published numbers the smaller one's loops are taken.
        steps: updates wanted in all. They are spent in whole networks, at least one. None for `NETWORKS` networks.
        outer, inner: None for the published ones.
    """
    nearest = max(number for number in PUBLISHED if number <= max(per_class, 1))
    published_outer, published_inner = PUBLISHED[nearest]
    outer = published_outer if outer is None else outer
    networks = NETWORKS if steps is None else -(-steps // outer) if steps < outer else steps // outer
    return Loops(networks, outer, published_inner if inner is None else inner)
