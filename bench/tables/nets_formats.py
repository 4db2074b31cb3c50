"""Sets judged by several networks as a table that people read: methods down, networks across, bytes beside."""

from __future__ import annotations

from collections.abc import Sequence

from bench.tables.nets import Judged, NetsRow, NetsTable
from bench.tables.notation import mebibytes, percent, trainings
from bench.tables.rows import setting_label
from bench.tables.sheet import Sheet, marked, numbered

LEGEND = (
    "Accuracy in % of networks trained on the same sets; in brackets the difference in points to the network that they were "
    "distilled with, paired by distillation seed. MiB: bytes stored / 2^20."
)
NOTHING = "no set was judged by two networks; run some with --nets"


def sheets(tables: Sequence[NetsTable]) -> list[Sheet]:
    """One sheet for each table."""
    return [_sheet(table) for table in tables]


def _sheet(table: NetsTable) -> Sheet:
    board = table.boards[0]
    group = board.group
    notes = (note for row in table.rows for judged in row.judged.values() for note in _notes(judged))
    numbers = numbered(notes)
    parts = [group.dataset, board.amount(), setting_label(board.setting, group.frames()), group.profile, group.protocol]
    parts += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    every = [judged.row.figures for row in table.rows for judged in row.judged.values()]
    sizes = sorted({trainings(figures) for figures in every if figures is not None})
    remarks = [f"distilled with {group.distilled_with}; every network is trained from scratch by the same recipe"]
    remarks += [f"distillation seeds × networks trained on each set: {', '.join(sizes)}"] if sizes else []
    remarks += [remark for remark in board.remarks if remark.startswith("chance ")]
    return Sheet(
        title=" · ".join(["across networks", *parts]),
        headers=("method", "MiB", *table.networks()),
        rows=tuple(
            (row.label, _stored(row), *(_text(row.judged.get(network), numbers) for network in table.networks()))
            for row in table.rows
        ),
        footnotes=tuple(numbers),
        remarks=tuple(remarks),
    )


def _stored(row: NetsRow) -> str:
    figures = [judged.row.figures for judged in row.judged.values() if judged.row.figures is not None]
    return mebibytes(figures[0].stored) if figures else ""


def _text(judged: Judged | None, numbers: dict[str, int]) -> str:
    if judged is None:
        return ""
    figures = judged.row.figures
    text = judged.row.status if figures is None else percent(figures.accuracy)
    text += f" ({percent(judged.difference, signed=True)})" if judged.difference is not None else ""
    return marked(text, _notes(judged), numbers)


def _notes(judged: Judged) -> list[str]:
    return [note.text for note in judged.row.notes if note.column in ("accuracy", "unfit")]
