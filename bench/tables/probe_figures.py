"""A row under the temporal probes: how its networks fare on altered test clips, and what stored motion is worth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from bench.core.frame_order import PROBES
from bench.results.records import Motion, Record
from bench.tables import stats
from bench.tables.rows import Row
from bench.tables.stats import Estimator, Interval, Trainings

UNPROBED = "recorded without temporal probes; the same run with --resume always measures them"


@final
@dataclass(frozen=True)
class Probed:
    """What trained networks make of test clips under one probe.

    Attributes:
        accuracy: mean share of the altered test clips classified correctly.
        difference: that minus the accuracy on the clips as they are, paired by seed and network.
    """

    accuracy: float
    difference: Interval


@final
@dataclass(frozen=True)
class TemporalRow:
    """One row of a leaderboard under the probes. No mean is taken over a part of its trainings.

    Attributes:
        row: the leaderboard's row.
        probes: by name, in the order of `PROBES`; only those that every training has.
        gain: temporal gain, the accuracy minus that of networks trained on the set with its time frozen and tested on
            frozen clips: what time is worth where nothing in the test is new; paired by seed and network; None if any
            training lacks it.
        moving_gain: the same, but those networks are tested on the clips as they are, which move unlike any they saw.
        motion_set, motion_real: motion energy of the rendered set and of the real clips in pixel units of [0, 1], each a
            mean over the classes that both have; the mean over the seeds; None if any seed lacks it.
        notes: what the probes lack, one sentence each.
    """

    row: Row
    probes: Mapping[str, Probed]
    gain: Interval | None
    moving_gain: Interval | None
    motion_set: float | None
    motion_real: float | None
    notes: tuple[str, ...]


def has_probes(record: Record) -> bool:
    """Whether it is finished and its networks were tested on altered clips."""
    return record.status == "ok" and any(evaluation.probes for evaluation in record.evaluations)


def temporal_row(row: Row, estimator: Estimator = stats.interval) -> TemporalRow:
    """A row under the probes; without any figure where a training of it is missing."""
    cells = row.cells if row.figures is not None and row.figures.complete else ()
    shares = _shares(cells)

    def difference(name: str, other: str) -> Interval | None:
        if name not in shares or other not in shares:
            return None
        paired = stats.differences(shares[name], shares[other])
        return None if paired is None else estimator(paired)

    against = {name: difference(name, "accuracy") for name in PROBES}
    motions = [_mean_motion(cell.motion) for cell in cells]
    pairs = [motion for motion in motions if motion is not None]
    measured = pairs if len(pairs) == len(cells) else []
    unprobed = sum(not all(evaluation.probes for evaluation in cell.evaluations) for cell in cells)
    few = f"{unprobed} of {len(cells)} cells " if unprobed < len(cells) else ""
    return TemporalRow(
        row=row,
        probes={name: Probed(stats.grand_mean(shares[name]), d) for name, d in against.items() if d is not None},
        gain=difference("accuracy", "frozen_both"),
        moving_gain=difference("accuracy", "frozen_trained"),
        motion_set=_mean([motion[0] for motion in measured]),
        motion_real=_mean([motion[1] for motion in measured]),
        notes=(few + UNPROBED,) if unprobed else (),
    )


def _shares(cells: Sequence[Record]) -> dict[str, Trainings]:
    """Shares of test clips by what was counted: only what was counted in every training."""
    shares: defaultdict[str, dict[int | None, dict[int, float]]] = defaultdict(dict)
    for cell in cells:
        for evaluation in cell.evaluations:
            counts = {
                "accuracy": evaluation.correct(),
                "frozen_trained": evaluation.frozen_trained,
                "frozen_both": evaluation.frozen_both,
                **evaluation.probes,
            }
            tested = max(1, evaluation.tested())
            for name, count in counts.items():
                if count is not None:
                    shares[name].setdefault(cell.cell.seed, {})[evaluation.network] = count / tested
    trainings = sum(len(cell.evaluations) for cell in cells)
    return {name: values for name, values in shares.items() if sum(map(len, values.values())) == trainings}


def _mean_motion(motion: Motion | None) -> tuple[float, float] | None:
    """Of the set and of the real clips, over the classes that both have: every class weighs the same in both."""
    if motion is None:
        return None
    both = [(a, b) for a, b in zip(motion.set, motion.real, strict=True) if a is not None and b is not None]
    of_set, of_real = _mean([a for a, _ in both]), _mean([b for _, b in both])
    return None if of_set is None or of_real is None else (of_set, of_real)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
