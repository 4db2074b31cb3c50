"""What the reports of a distillation say of its objective: where it started, and where it came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

History = Mapping[str, Sequence["float | None"]]
"""``{"step": [...], "loss": [...]}``; a number that was not finite is None."""


@dataclass(frozen=True)
class Objective:
    """The loss that a method descends, at both ends of its learning.

    Attributes:
        before: at the first reported step, which is taken from the set's start.
        after: the mean of the last tenth of the reported steps.
    """

    before: float
    after: float

    def fell(self) -> bool:
        """Whether learning made it smaller."""
        return self.after < self.before


def ends(history: History) -> dict[str, list[float | None]]:
    """A short history with the same `objective`: of each series, the first value and the mean of the last tenth."""
    return {name: [*values[:1], *([_late(values)] if len(values) > 1 else [])] for name, values in history.items()}


def objective(history: History) -> Objective | None:
    """The objective at both ends; None if fewer than two steps, or a loss that is not finite, were reported there."""
    losses = history.get("loss", ())
    if len(losses) < 2:
        return None
    before, after = losses[0], _late(losses)
    return None if before is None or after is None else Objective(before, after)


def _late(values: Sequence[float | None]) -> float | None:
    """The mean of the last tenth; None if one of them is not finite."""
    last = values[-max(1, len(values) // 10) :]
    finite = [value for value in last if value is not None]
    return math.fsum(finite) / len(finite) if len(finite) == len(last) else None
