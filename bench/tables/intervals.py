"""How intervals are made, by the name that `table --interval` takes."""

from __future__ import annotations

from typing import Literal, get_args

from bench.tables import stats
from bench.tables.stats import Estimator

Intervals = Literal["student", "bootstrap"]
INTERVALS: tuple[Intervals, ...] = get_args(Intervals)

EXPLAINED: dict[Intervals, str] = {
    "student": "95 % interval (Student's t)",
    "bootstrap": "95 % interval (hierarchical bootstrap, which covers too rarely with few seeds)",
}


def estimator_of(intervals: Intervals) -> Estimator:
    """What makes these intervals."""
    if intervals == "student":
        return stats.interval
    from bench.tables.bootstrap import bootstrap_interval

    return bootstrap_interval
