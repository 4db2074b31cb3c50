"""The temporal taxonomy as tables that people read, in the shape of the founding paper's study: settings down, datasets across."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import BenchError
from bench.tables.notation import mebibytes, percent
from bench.tables.rows import setting_label
from bench.tables.sheet import Sheet, marked, numbered
from bench.tables.taxonomy import TaxonomyTable
from bench.tables.temporal import TemporalRow
from bench.temporal import parse

LEGEND = (
    "n: frames stored of each clip; r: distinct frames of each real clip that matching sees; K: segments; I: interpolation. "
    "Temporal gain: accuracy minus that of the same networks trained on the set with its time frozen and tested on frozen "
    "clips, in points, paired by seed and network. MiB: bytes stored / 2^20."
)
NOTHING = "no method has records in two temporal settings; run some with --settings taxonomy"


def sheets(tables: Sequence[TaxonomyTable]) -> list[Sheet]:
    """One sheet for each method."""
    return [_sheet(table) for table in tables]


def _sheet(table: TaxonomyTable) -> Sheet:
    numbers = numbered(note for row in table.rows.values() for note in _notes(row))
    several = len({dataset for dataset, _ in table.columns}) > 1
    headers: list[str] = ["setting", "n", "r", "K", "I"]
    for dataset, amount in table.columns:
        where = f"{dataset} {amount}" if several else amount
        headers += [f"{where}: accuracy %", "MiB", "temporal gain"]
    rows = []
    for setting in table.settings:
        cells = [setting_label(setting, table.frames), *_factors(setting, table.frames)]
        for column in table.columns:
            row = table.rows.get((setting, column))
            cells += ["", "", ""] if row is None else _figures(row, numbers)
        rows.append(tuple(cells))
    datasets = "" if several else f" · {table.columns[0][0]}"
    return Sheet(
        title=f"temporal taxonomy · {table.method}{datasets} · {' · '.join(table.context)}",
        headers=tuple(headers),
        rows=tuple(rows),
        names=1,
        footnotes=tuple(numbers),
    )


def _factors(setting: str, frames: int) -> list[str]:
    try:
        found = parse(setting, frames)
    except BenchError:
        return [""] * 4
    return [str(found.n_syn), str(found.n_real), str(found.segments), found.interpolation]


def _figures(row: TemporalRow, numbers: dict[str, int]) -> list[str]:
    figures = row.row.figures
    accuracy = row.row.status if figures is None else percent(figures.accuracy)
    stored = "" if figures is None else mebibytes(figures.stored)
    return [marked(accuracy, _notes(row), numbers), stored, percent(row.gain, signed=True)]


def _notes(row: TemporalRow) -> list[str]:
    return [note.text for note in row.row.notes if note.column == "accuracy"]
