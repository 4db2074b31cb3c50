"""What every layout is made of: which tables it has, what its legend says, and in what order programs read the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from bench.tables.columns import Column, Extra, Line
from bench.tables.intervals import EXPLAINED, Intervals, estimator_of
from bench.tables.rows import Leaderboard
from bench.tables.stats import Estimator
from bench.tables.text_table import TextTable, marked, numbered


@final
@dataclass(frozen=True)
class Options:
    """What the user asked for: columns that people see only on demand, and how intervals are made."""

    extra: tuple[Extra, ...] = ()
    intervals: Intervals = "student"

    @property
    def estimator(self) -> Estimator:
        """What makes the intervals."""
        return estimator_of(self.intervals)


def explained(text: str) -> Callable[[Sequence[Leaderboard], Options], list[str]]:
    """A legend that is the same for all leaderboards, with a sentence on how intervals are made."""
    return lambda boards, options: [text, f"±: {EXPLAINED[options.intervals]}."]


def every_line(boards: Sequence[Leaderboard], options: Options) -> list[Line]:
    """All rows, leaderboard by leaderboard."""
    return [Line(board, row, options.estimator) for board in boards for row in board.rows]


@final
@dataclass(frozen=True)
class Layout:
    """One way to see the leaderboards.

    Attributes:
        name: as ``table --by`` takes it.
        help: what there is a table for, in a clause.
        heading: of the Markdown file.
        tables: the tables that people read.
        legend: sentences below them.
        lines: the rows in the order of CSV and JSON.
        nothing: the sentence in the place of the tables where there is none.
        file: name of its file in ``DIR/tables``, without suffix; "": it is not written.
        worth_a_file: whether these leaderboards fill it.
    """

    name: str
    help: str
    heading: str
    tables: Callable[[Sequence[Leaderboard], Options], list[TextTable]]
    legend: Callable[[Sequence[Leaderboard], Options], list[str]]
    lines: Callable[[Sequence[Leaderboard], Options], list[Line]] = every_line
    nothing: str = "no records"
    file: str = ""
    worth_a_file: Callable[[Sequence[Leaderboard]], bool] = lambda boards: True


def line_table(title: str, columns: Sequence[Column], lines: Sequence[Line], remarks: Sequence[str] = ()) -> TextTable:
    """A table with a row for each line, with the footnotes to these columns."""
    numbers = numbered(note for line in lines for note in line.row.footnotes(*(each.key for each in columns)))
    baseline = lines[0].board.baseline if lines else ""
    return TextTable(
        title=title,
        headers=tuple(each.header.format(baseline=baseline) for each in columns),
        rows=tuple(
            tuple(marked(each.text(line), line.row.footnotes(each.key), numbers) for each in columns) for line in lines
        ),
        names=sum(each.is_name for each in columns),
        footnotes=tuple(numbers),
        remarks=tuple(remarks),
    )
