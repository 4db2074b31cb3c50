"""Temporal probes as tables that people read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.core.frame_order import PROBES
from bench.tables.notation import percent, points
from bench.tables.sheet import Sheet, marked, numbered
from bench.tables.temporal import TemporalRow, TemporalTable

LEGEND = (
    "Shuffled, reversed, frozen, half-rate: accuracy % of the same trained networks on test clips so altered, in brackets "
    "the difference to the clips as they are. Temporal gain: accuracy minus that of the same networks trained on the set "
    "with its time frozen and tested on frozen clips; with a moving test, minus what these score on the clips as they "
    "are. Differences are in points, "
    "paired by seed and network. Motion: mean absolute difference of consecutive frames, in pixel units of [0, 1], of the "
    "rendered set / of the real clips."
)
NOTHING = "no record holds temporal probes; the same run with --resume always measures them"


def sheets(tables: Sequence[TemporalTable]) -> list[Sheet]:
    """One sheet for each table, without the columns that are empty in every row."""
    return [_sheet(table) for table in tables]


def _sheet(table: TemporalTable) -> Sheet:
    numbers = numbered(note for row in table.rows for note in _notes(row))
    columns: dict[str, Callable[[TemporalRow], str]] = {
        "accuracy %": lambda row: marked(_accuracy(row), _notes(row), numbers),
        **{name: lambda row, name=name: _altered(row, name) for name in PROBES},  # type: ignore[misc]
        "temporal gain": lambda row: percent(row.gain, signed=True),
        "with a moving test": lambda row: percent(row.moving_gain, signed=True),
        "motion set / real": _motion,
    }
    shown = {header: text for header, text in columns.items() if any(map(text, table.rows))}
    chance = table.board.chance
    return Sheet(
        title=table.board.title,
        headers=("method", *shown),
        rows=tuple((row.row.label, *(text(row) for text in shown.values())) for row in table.rows),
        footnotes=tuple(numbers),
        remarks=() if chance is None else (f"chance is {100 * chance:.1f} %",),
    )


def _notes(row: TemporalRow) -> list[str]:
    return [*(note.text for note in row.row.notes if note.column == "accuracy"), *row.notes]


def _accuracy(row: TemporalRow) -> str:
    return row.row.status if row.row.figures is None else percent(row.row.figures.accuracy)


def _altered(row: TemporalRow, name: str) -> str:
    probed = row.probes.get(name)
    return "" if probed is None else f"{points(probed.accuracy)} ({percent(probed.difference, signed=True)})"


def _motion(row: TemporalRow) -> str:
    return "" if row.motion_set is None else f"{row.motion_set:.4f} / {row.motion_real:.4f}"
