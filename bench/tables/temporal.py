"""Temporal probes of each leaderboard: how networks fare on altered test clips, and what stored motion is worth. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.api import Evaluation
from bench.probes import PROBES
from bench.store.records import Motion, Record
from bench.tables.leaderboard import Leaderboard, Row, group_of, leaderboards
from bench.tables.stats import Interval, Trainings, interval, paired

UNPROBED = "recorded without temporal probes; the same run with --resume always measures them"


@dataclass(frozen=True)
class Probed:
    """What trained networks make of test clips under one probe.

    Attributes:
        accuracy: mean share of the altered test clips classified correctly.
        difference: that minus the accuracy on the clips as they are, paired by seed and network.
    """

    accuracy: float
    difference: Interval


@dataclass(frozen=True)
class TemporalRow:
    """One row of a leaderboard under the probes.

    Attributes:
        row: the leaderboard's row.
        probes: by name, in the order of `PROBES`; only those that were recorded.
        gain: temporal gain, the accuracy minus that of networks trained on the set with its time frozen, paired by seed
            and network; None if it was not recorded.
        still_gain: the same, but those networks are tested on frozen clips too; None if it was not recorded.
        motion_set, motion_real: motion energy of the rendered set and of the real clips in pixel units of [0, 1], each a
            mean over the classes that both have; the mean over the seeds; None if it was not recorded.
        notes: footnotes, one sentence each.
    """

    row: Row
    probes: Mapping[str, Probed]
    gain: Interval | None
    still_gain: Interval | None
    motion_set: float | None
    motion_real: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TemporalTable:
    """The rows of a leaderboard, in its order, under the probes."""

    board: Leaderboard
    rows: tuple[TemporalRow, ...]


def temporal_tables(records: Iterable[Record]) -> list[TemporalTable]:
    """One table for each leaderboard with a row that was probed, in the leaderboards' order.

    Args:
        records: of any cells; a cell that occurs twice counts once.
    """
    every = list({record.id: record for record in records}.values())
    tables = []
    for board in leaderboards(every):
        here = [record for record in every if _is_on(record, board)]
        rows = tuple(_row(row, [record for record in here if _is_of(record, row)]) for row in board.rows)
        if any(row.probes or row.gain is not None for row in rows):
            tables.append(TemporalTable(board, rows))
    return tables


def _is_on(record: Record, board: Leaderboard) -> bool:
    """Whether a finished record has a place on that leaderboard."""
    cell = record.cell
    placed = cell.ipc is None or (cell.ipc, cell.setting) == (board.ipc, board.setting)
    return record.status == "ok" and bool(record.evaluations) and group_of(record) == board.group and placed


def _is_of(record: Record, row: Row) -> bool:
    cell = record.cell
    identity = (row.method, row.config, row.source, row.reference)
    return (cell.method, cell.config, cell.source, cell.ipc is None) == identity


def _row(row: Row, records: Sequence[Record]) -> TemporalRow:
    probes = {name: found for name in PROBES if (found := _probed(records, name)) is not None}
    pairs = [motion for record in records if (motion := _mean_motion(record.motion)) is not None]
    notes = [note.text for note in row.notes if note.column == "accuracy"]
    unprobed = [record for record in records if not all(entry.probes for entry in record.evaluations)]
    if unprobed:
        few = f"{len(unprobed)} of {len(records)} cells " if len(unprobed) < len(records) else ""
        notes.append(few + UNPROBED)
    return TemporalRow(
        row=row,
        probes=probes,
        gain=_gain(records, lambda entry: entry.frozen_trained),
        still_gain=_gain(records, lambda entry: entry.frozen_both),
        motion_set=_mean([motion[0] for motion in pairs]),
        motion_real=_mean([motion[1] for motion in pairs]),
        notes=tuple(notes),
    )


def _probed(records: Sequence[Record], name: str) -> Probed | None:
    def has_it(evaluation: Evaluation) -> bool:
        return name in evaluation.probes

    altered = _trainings(records, has_it, lambda entry: entry.probes[name] / max(1, entry.tested()))
    difference = paired(altered, _trainings(records, has_it, Evaluation.accuracy))
    if difference is None:
        return None
    return Probed(interval([list(by_network.values()) for by_network in altered.values()]).mean, difference)


def _gain(records: Sequence[Record], frozen: Callable[[Evaluation], int | None]) -> Interval | None:
    def has_it(evaluation: Evaluation) -> bool:
        return frozen(evaluation) is not None

    return paired(
        _trainings(records, has_it, Evaluation.accuracy),
        _trainings(records, has_it, lambda entry: (frozen(entry) or 0) / max(1, entry.tested())),
    )


def _trainings(
    records: Sequence[Record], counts: Callable[[Evaluation], bool], figure: Callable[[Evaluation], float]
) -> Trainings:
    """The figure of each training that counts; seeds without one are left out."""
    found = {r.cell.seed: {entry.network: figure(entry) for entry in r.evaluations if counts(entry)} for r in records}
    return {seed: by_network for seed, by_network in found.items() if by_network}


def _mean_motion(motion: Motion | None) -> tuple[float, float] | None:
    """Of the set and of the real clips, over the classes that both have: every class weighs the same in both."""
    if motion is None:
        return None
    both = [(a, b) for a, b in zip(motion.set, motion.real, strict=True) if a is not None and b is not None]
    of_set, of_real = _mean([a for a, _ in both]), _mean([b for _, b in both])
    return None if of_set is None or of_real is None else (of_set, of_real)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
