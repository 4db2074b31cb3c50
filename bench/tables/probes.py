"""Temporal probes, leaderboard by leaderboard: how networks fare on altered test clips, temporal gain, and motion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from bench.tables import stats
from bench.tables.columns import Column, Line, columns_of, filled, plain_accuracy
from bench.tables.layout import Layout, Options, explained, line_table
from bench.tables.probe_figures import TemporalRow, has_probes
from bench.tables.rows import Leaderboard, Note
from bench.tables.stats import Estimator
from bench.tables.text_table import TextTable

LEGEND = (
    "Shuffled, reversed, frozen, half-rate: accuracy % of the same trained networks on test clips so altered, in brackets "
    "the difference to the clips as they are. Temporal gain: accuracy minus that of the same networks trained on the set "
    "with its time frozen and tested on frozen clips; with a moving test, minus what these score on the clips as they "
    "are. Differences are in points, "
    "paired by seed and network. Motion: mean absolute difference of consecutive frames, in pixel units of [0, 1], of the "
    "rendered set / of the real clips."
)
NOTHING = "no record holds temporal probes; the same run with --resume always measures them"


@final
@dataclass(frozen=True)
class TemporalTable:
    """The rows of a leaderboard, in its order, under the probes."""

    board: Leaderboard
    lines: tuple[Line, ...]

    @property
    def rows(self) -> tuple[TemporalRow, ...]:
        """What the probes say of each row."""
        return tuple(line.probed for line in self.lines)


def temporal_tables(boards: Iterable[Leaderboard], estimator: Estimator = stats.interval) -> list[TemporalTable]:
    """One table for each leaderboard with a cell that was probed, in the order given.

    Args:
        boards: the leaderboards.
        estimator: makes the intervals.
    """
    return [
        TemporalTable(board, tuple(Line(board, row, estimator) for row in board.rows))
        for board in boards
        if _probed(board)
    ]


def _probed(board: Leaderboard) -> bool:
    return any(has_probes(cell) for row in board.rows for cell in row.cells)


def _table(table: TemporalTable) -> TextTable:
    """Without the columns that are empty in every row; what the probes lack is a footnote to the accuracy."""
    lines = [_with_notes(line) for line in table.lines]
    chance = table.board.chance
    remarks = () if chance is None else (f"chance is {100 * chance:.1f} %",)
    return line_table(table.board.title, filled(_columns(), lines), lines, remarks)


def _columns() -> list[Column]:
    """Without the sign of the best, which the legend of this layout does not explain."""
    return [replace(c, text=plain_accuracy) if c.key == "accuracy" else c for c in columns_of("probes")]


def _with_notes(line: Line) -> Line:
    notes = tuple(Note("accuracy", text) for text in line.probed.notes)
    return replace(line, row=replace(line.row, notes=(*line.row.notes, *notes)))


def _lines(boards: Sequence[Leaderboard], options: Options) -> list[Line]:
    return [line for table in temporal_tables(boards, options.estimator) for line in table.lines]


LAYOUT = Layout(
    name="probes",
    help="IPC and setting, with altered test clips, temporal gain, motion",
    heading="Temporal probes",
    tables=lambda boards, options: list(map(_table, temporal_tables(boards, options.estimator))),
    legend=explained(LEGEND),
    lines=_lines,
    nothing=NOTHING,
    file="probes",
    worth_a_file=lambda boards: any(map(_probed, boards)),
)
