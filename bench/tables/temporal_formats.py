"""Temporal probes as text: for the terminal, as Markdown, and as one flat CSV table of raw numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.probes import PROBES
from bench.store.records import Record
from bench.tables.formats import Format, markdown_text, printable
from bench.tables.leaderboard import setting_label
from bench.tables.stats import Interval
from bench.tables.temporal import Probed, TemporalRow, TemporalTable, temporal_tables

LEGEND = (
    "Shuffled, reversed, frozen, half-rate: accuracy % of the same trained networks on test clips so altered, in brackets "
    "the difference to the clips as they are. Temporal gain: accuracy minus that of the same networks trained on the set "
    "with its time frozen; with a still test, minus what these score on frozen test clips. Differences are in points, "
    "paired by seed and network, ± as in the leaderboards. Motion: mean absolute difference of consecutive frames, in "
    "pixel units of [0, 1], of the rendered set / of the real clips."
)
NOTHING = "no record holds temporal probes; `python -m bench run ... --resume always` measures them"


def render(records: Iterable[Record], fmt: Format = "terminal") -> str:
    """All probe tables of these records as text that ends in a line break.

    Args:
        records: of any cells.
        fmt: ``terminal``, ``markdown`` or ``csv``.
    """
    tables = temporal_tables(records)
    if fmt == "csv":
        return _csv(tables)
    return _markdown(tables) if fmt == "markdown" else _terminal(tables)


def _terminal(tables: Sequence[TemporalTable]) -> str:
    parts = []
    for table in tables:
        title = printable(table.board.title)
        lines = [title, "=" * len(title), _table(table, "simple", printable), ""]
        lines += [f"[{number}] {printable(text)}" for text, number in _numbered(table).items()]
        lines += [f" ·  {remark}" for remark in _remarks(table)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, LEGEND + "\n"]) if parts else NOTHING + "\n"


def _markdown(tables: Sequence[TemporalTable]) -> str:
    parts = ["# Temporal probes\n", "Made from the records by `python -m bench table --by probes --write`.\n"]
    parts.append(f"{LEGEND if tables else NOTHING}\n")
    for table in tables:
        lines = [f"## {markdown_text(table.board.title)}", "", _table(table, "pipe", markdown_text), ""]
        lines += [f"- [{number}] {markdown_text(text)}" for text, number in _numbered(table).items()]
        lines += [f"- {remark}" for remark in _remarks(table)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _table(table: TemporalTable, style: str, escape: Callable[[str], str]) -> str:
    from tabulate import tabulate

    numbers = _numbered(table)
    return tabulate(
        [[escape(row.row.label), *_cells(row, numbers)] for row in table.rows],
        headers=["method", "accuracy %", *PROBES, "temporal gain", "with a still test", "motion set / real"],
        tablefmt=style,
        disable_numparse=True,
        colalign=("left", *("right" for _ in range(len(PROBES) + 4))),
    )


def _cells(row: TemporalRow, numbers: dict[str, int]) -> list[str]:
    figures = row.row.figures
    accuracy = row.row.status if figures is None else _points(figures.accuracy)
    marks = sorted(numbers[text] for text in row.notes)
    return [
        accuracy + (f" [{','.join(map(str, marks))}]" if marks else ""),
        *(_altered(row.probes.get(name)) for name in PROBES),
        *("" if gain is None else _points(gain, signed=True) for gain in (row.gain, row.still_gain)),
        "" if row.motion_set is None else f"{row.motion_set:.4f} / {row.motion_real:.4f}",
    ]


def _altered(probed: Probed | None) -> str:
    if probed is None:
        return ""
    return f"{100 * probed.accuracy:.1f} ({_points(probed.difference, signed=True)})"


def _points(found: Interval, signed: bool = False) -> str:
    mean = round(100 * found.mean, 1) + 0.0  # not -0.0
    text = f"{mean:+.1f}" if signed else f"{mean:.1f}"
    return text if found.half_width is None else f"{text} ± {100 * found.half_width:.1f}"


def _numbered(table: TemporalTable) -> dict[str, int]:
    """Footnote texts in the order of their first mention, each with its number."""
    texts = dict.fromkeys(text for row in table.rows for text in row.notes)
    return {text: number for number, text in enumerate(texts, 1)}


def _remarks(table: TemporalTable) -> list[str]:
    chance = table.board.chance
    return [] if chance is None else [f"chance is {100 * chance:.1f} %"]


# ----------------------------------------------------------------------------------------------------------------------
# The table a program reads

_PARTS = ("", "_low", "_high", "_covers")
_CSV_COLUMNS = (
    "dataset", "fingerprint", "profile", "network", "geometry", "protocol", "judged_on", "ipc", "setting", "setting_label",
    "method", "label", "config", "source", "reference", "status",
    *(f"accuracy{part}" for part in _PARTS),
    *(column for name in PROBES for column in (name, *(f"{name}_minus_accuracy{part}" for part in _PARTS))),
    *(f"{name}{part}" for name in ("temporal_gain", "temporal_gain_still_test") for part in _PARTS),
    "motion_set", "motion_real", "chance", "notes",
)  # fmt: skip


def _csv(tables: Sequence[TemporalTable]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_csv_row(table, row) for table in tables for row in table.rows)
    return text.getvalue()


def _csv_row(table: TemporalTable, probed: TemporalRow) -> dict[str, Any]:
    board, row, group = table.board, probed.row, table.board.group
    values: dict[str, Any] = {
        "dataset": group.dataset,
        "fingerprint": group.fingerprint,
        "profile": group.profile,
        "network": group.network,
        "geometry": json.dumps(dict(group.geometry)),
        "protocol": group.protocol,
        "judged_on": group.judged_on,
        "ipc": board.ipc,
        "setting": board.setting,
        "setting_label": setting_label(board.setting, group.frames()),
        "method": row.method,
        "label": row.label,
        "config": None if row.config is None else json.dumps(row.config, sort_keys=True, ensure_ascii=False),
        "source": row.source,
        "reference": row.reference,
        "status": row.status,
        "motion_set": probed.motion_set,
        "motion_real": probed.motion_real,
        "chance": board.chance,
        "notes": "; ".join(probed.notes),
    }
    intervals = {f"{name}_minus_accuracy": found.difference for name, found in probed.probes.items()}
    gains = {"temporal_gain": probed.gain, "temporal_gain_still_test": probed.still_gain}
    intervals |= {name: gain for name, gain in gains.items() if gain is not None}
    intervals |= {"accuracy": row.figures.accuracy} if row.figures is not None else {}
    for name, found in intervals.items():
        parts = (found.mean, found.low, found.high, found.covers)
        values |= {f"{name}{end}": part for end, part in zip(_PARTS, parts, strict=True)}
    return values | {name: found.accuracy for name, found in probed.probes.items()}
