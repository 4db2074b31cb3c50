"""How many clips fit into a budget."""

from __future__ import annotations

from collections.abc import Callable


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 1 to ``most`` that fits, 0 if 1 does not; what fits is taken to have fitting ones below it.

    Doubles, then halves: nothing much larger than the answer is ever tried.
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def does_not_fit(name: str, least: int, budget: int) -> str:
    """Why a method is left out of a budget, and the least one that would do."""
    return f"{name} needs {least:,} bytes for one clip a class; the budget is {budget:,} bytes"
