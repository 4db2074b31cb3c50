"""A table for each IPC (or budget in bytes): one line a temporal setting, methods across."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from bench.tables import notation
from bench.tables.columns import Line
from bench.tables.layout import Layout, Options, every_line, explained
from bench.tables.rows import Group, Leaderboard, Row
from bench.tables.text_table import TextTable, marked, numbered


@final
@dataclass(frozen=True)
class BySetting:
    """The accuracies of one group at one budget.

    Attributes:
        boards: one for each temporal setting, in their order.
        methods: labels of the rows that depend on the budget, as the first leaderboard that has them orders them.
        references: rows without budget.
    """

    boards: tuple[Leaderboard, ...]
    methods: tuple[str, ...]
    references: tuple[Row, ...]


def by_setting(boards: Iterable[Leaderboard]) -> list[BySetting]:
    """For each group and budget the leaderboards of all its settings."""
    together: defaultdict[tuple[Group, str], list[Leaderboard]] = defaultdict(list)
    for board in boards:
        together[board.group, board.amount()].append(board)
    return [
        BySetting(
            tuple(members),
            tuple(dict.fromkeys(row.label for board in members for row in board.rows if not row.reference)),
            tuple(row for row in members[0].rows if row.reference),
        )
        for members in together.values()
    ]


def _table(table: BySetting) -> TextTable:
    first = table.boards[0]
    rows_by_label = [{row.label: row for row in board.rows if not row.reference} for board in table.boards]
    shown = [rows[label] for rows in rows_by_label for label in table.methods if label in rows]
    numbers = numbered(note for row in shown for note in row.footnotes("accuracy"))
    sizes = sorted({notation.trainings(row.figures) for row in shown if row.figures is not None})
    remarks = [
        f"{row.label}: {notation.percent(row.figures.accuracy)}" for row in table.references if row.figures is not None
    ]
    remarks += [f"distillation seeds × networks trained on each set: {', '.join(sizes)}"] if sizes else []
    return TextTable(
        title=" · ".join([first.data, first.amount(), "by temporal setting", *first.group.context()]),
        headers=("setting", *table.methods),
        rows=tuple(
            (board.setting_label(), *(_cell(rows.get(label), numbers) for label in table.methods))
            for board, rows in zip(table.boards, rows_by_label, strict=True)
        ),
        footnotes=tuple(numbers),
        remarks=tuple(remarks),
    )


def _cell(row: Row | None, numbers: dict[str, int]) -> str:
    """Accuracy and bytes, or the status of a row without figures."""
    if row is None:
        return ""
    figures = row.figures
    if figures is None:
        text = row.status
    else:
        accuracy = notation.percent(figures.accuracy)
        text = f"{accuracy} / {notation.mebibytes(figures.stored)}" if figures.accuracy else ""
    return marked(text, row.footnotes("accuracy"), numbers)


def _lines(boards: Sequence[Leaderboard], options: Options) -> list[Line]:
    return [line for table in by_setting(boards) for line in every_line(table.boards, options)]


LAYOUT = Layout(
    name="setting",
    help="IPC, one line a setting",
    heading="By temporal setting",
    tables=lambda boards, options: list(map(_table, by_setting(boards))),
    legend=explained("Each cell: accuracy in % / MiB stored (bytes / 2^20)."),
    lines=_lines,
)
