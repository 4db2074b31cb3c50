"""Accuracy for the bytes stored: all budgets and settings of a group in one table, with the Pareto front."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from bench.tables.columns import Column, Line, clips_a_class, column, legend_of, plain_accuracy
from bench.tables.layout import Layout, Options, every_line, line_table
from bench.tables.rows import Group, Leaderboard, Row
from bench.tables.text_table import TextTable


@final
@dataclass(frozen=True)
class Point:
    """A row and where it stands.

    Attributes:
        board: its leaderboard; of a row without budget the first of its group.
        row: the row.
        optimal: whether no other row of its group is at least as accurate for fewer bytes, or more accurate for as many;
            None where accuracy or bytes are missing.
    """

    board: Leaderboard
    row: Row
    optimal: bool | None


def by_bytes(boards: Iterable[Leaderboard]) -> list[tuple[Point, ...]]:
    """For each group all its rows with figures: fewest bytes first, then the most accurate; rows without bytes last."""
    groups: defaultdict[Group, list[Leaderboard]] = defaultdict(list)
    for board in boards:
        groups[board.group].append(board)
    return [
        tuple(sorted(_points(members), key=_order))
        for members in groups.values()
        if any(row.figures is not None for board in members for row in board.rows)
    ]


def pareto(points: Sequence[tuple[int, float]]) -> list[bool]:
    """For each (bytes, accuracy) whether no other has fewer bytes and is at least as accurate, or as many and is more so."""
    best_below: dict[int, float] = {}
    best: dict[int, float] = {}
    for stored, accuracy in points:
        best[stored] = max(best.get(stored, accuracy), accuracy)
    so_far = float("-inf")
    for stored in sorted(best):
        best_below[stored] = so_far
        so_far = max(so_far, best[stored])
    return [accuracy == best[stored] and accuracy > best_below[stored] for stored, accuracy in points]


def _points(boards: Sequence[Leaderboard]) -> list[Point]:
    places: dict[tuple[object, ...], tuple[Leaderboard, Row]] = {}
    for board in boards:
        for row in board.rows:
            if row.figures is not None:
                budget = () if row.reference else (board.setting, board.ipc, board.budget)
                places.setdefault((row.method, row.label, row.state, budget), (board, row))
    measured = {
        key: (row.figures.stored.high, row.figures.accuracy.mean)
        for key, (_, row) in places.items()
        if row.figures is not None and row.figures.stored is not None and row.figures.accuracy is not None
    }
    optimal = dict(zip(measured, pareto(list(measured.values())), strict=True))
    return [Point(board, row, optimal.get(key)) for key, (board, row) in places.items()]


def _order(point: Point) -> tuple[object, ...]:
    figures = point.row.figures
    stored = figures.stored if figures is not None else None
    accuracy = figures.accuracy if figures is not None else None
    return (
        stored is None,
        0 if stored is None else stored.high,
        accuracy is None,
        0.0 if accuracy is None else -accuracy.mean,
        point.row.label,
        point.board.setting,
        point.board.budget or 0,
        point.board.ipc or 0,
    )


# ----------------------------------------------------------------------------------------------------------------------
# The table

_BUDGET = Column(
    "amount",
    "budget",
    lambda line: "" if line.row.reference or line.board.budget is None else line.board.amount(),
)
_CLIPS = Column("clips", "IPC", lambda line: "" if line.row.reference else clips_a_class(line))
_PARETO = Column(
    "optimal",
    "Pareto",
    legend="Pareto: no other row is at least as accurate with fewer bytes, or more accurate with as many, going by the means.",
    explained=True,
)


def _columns() -> list[Column]:
    """All of them, from left to right; `_table` leaves the budget out where no row has one in bytes."""
    accuracy = replace(column("accuracy"), text=plain_accuracy)
    stored = [column("stored"), column("stored_fp32")]
    return [column("method"), column("setting"), _BUDGET, _CLIPS, *stored, accuracy, column("trainings"), _PARETO]


def _table(points: Sequence[Point]) -> TextTable:
    optimal = {(point.board.title, point.row.label) for point in points if point.optimal}
    front = replace(_PARETO, text=lambda line: "yes" if (line.board.title, line.row.label) in optimal else "")
    budgeted = any(point.board.budget is not None for point in points)
    columns = [front if each is _PARETO else each for each in _columns() if budgeted or each is not _BUDGET]
    board = points[0].board
    title = " · ".join([board.data, "by bytes", *board.group.context()])
    return line_table(title, columns, [Line(point.board, point.row) for point in points])


def _lines(boards: Sequence[Leaderboard], options: Options) -> list[Line]:
    shown = [Line(point.board, point.row, options.estimator) for points in by_bytes(boards) for point in points]
    return shown + [line for line in every_line(boards, options) if line.row.figures is None]


LAYOUT = Layout(
    name="bytes",
    help="dataset, sorted by bytes",
    heading="By bytes",
    tables=lambda boards, options: list(map(_table, by_bytes(boards))),
    legend=lambda boards, options: legend_of(_columns(), (), options.intervals),
    lines=_lines,
    file="bytes",
)
