"""Leaderboards as text: for the terminal, as Markdown, and as one flat CSV table of raw numbers."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from bench.store.records import Record
from bench.tables.leaderboard import Column, Extent, Figures, Leaderboard, Row, leaderboards, setting_label
from bench.tables.stats import Interval

Format = Literal["terminal", "markdown", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

LEGEND = (
    "n × m: distillation seeds × networks trained on each set. ±: 95 % interval (Student's t). "
    "Gain: difference in points, paired by seed and network. MiB: bytes stored / 2^20; float32: at four bytes a number."
)

_MIB = 2**20
_GIB = 2**30


def render(records: Iterable[Record], fmt: Format = "terminal") -> str:
    """All leaderboards of these records as text that ends in a line break.

    Args:
        records: of any cells.
        fmt: ``terminal``, ``markdown`` or ``csv``.
    """
    boards = leaderboards(records)
    if fmt == "csv":
        return as_csv(boards)
    return as_markdown(boards) if fmt == "markdown" else as_terminal(boards)


def as_terminal(boards: Sequence[Leaderboard]) -> str:
    """Aligned columns; what names hold of control characters is made visible."""
    parts = []
    for board in boards:
        title = printable(board.title)
        lines = [title, "=" * len(title), _table(board, "simple", printable), ""]
        lines += [f"[{number}] {printable(text)}" for text, number in _numbered(board).items()]
        lines += [f" ·  {printable(remark)}" for remark in board.remarks]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, LEGEND + "\n"]) if parts else "no records\n"


def as_markdown(boards: Sequence[Leaderboard]) -> str:
    """One section with a pipe table for each leaderboard."""
    parts = ["# Leaderboards\n", "Made from the records by `python -m bench table --write`.\n", f"{LEGEND}\n"]
    for board in boards:
        lines = [f"## {markdown_text(board.title)}", "", _table(board, "pipe", markdown_text), ""]
        lines += [f"- [{number}] {markdown_text(text)}" for text, number in _numbered(board).items()]
        lines += [f"- {markdown_text(remark)}" for remark in board.remarks]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def as_csv(boards: Sequence[Leaderboard]) -> str:
    """One line for each row of each leaderboard: fractions, seconds and bytes as they are; empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_csv_row(board, row) for board in boards for row in board.rows)
    return text.getvalue()


def printable(text: str) -> str:
    """The text on one line, with control and format characters (escapes, line breaks, text direction) written out."""
    return "".join(_visible(character) for character in text)


def markdown_text(text: str) -> str:
    """Text from outside, so that Markdown shows it as it is, also inside a table."""
    escaped = re.sub(r"[\\|<>`*~&]", lambda match: _MARKDOWN[match[0]], printable(text))
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
    return escaped.replace("](", "]\\(")


_MARKDOWN = {"<": "&lt;", ">": "&gt;", "&": "&amp;"} | {sign: f"\\{sign}" for sign in r"\|`*~"}


def _visible(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# ----------------------------------------------------------------------------------------------------------------------
# The table a person reads


@dataclass(frozen=True)
class _Shown:
    """A column: its header, what footnotes call it, and its text."""

    header: str
    name: Column | None
    text: Callable[[Figures], str]


def _columns(board: Leaderboard) -> list[_Shown]:
    return [
        _Shown("accuracy %", "accuracy", lambda f: _percent(f.accuracy)),
        _Shown("n × m", None, lambda f: _trainings(f.accuracy)),
        _Shown("top-5 %", "top5", lambda f: _percent(f.top5)),
        _Shown("% of full", "share", lambda f: "" if f.share is None else f"{100 * f.share:.1f}"),
        _Shown(f"gain over {board.baseline}", "gain", lambda f: _percent(f.gain, signed=True)),
        _Shown("MiB", None, lambda f: _mebibytes(f.stored)),
        _Shown("MiB float32", None, lambda f: _mebibytes(f.stored_fp32)),
        _Shown("distil s", None, lambda f: _seconds(f.distil_seconds)),
        _Shown("upstream s", "upstream", lambda f: _seconds(f.upstream_seconds)),
        _Shown("tune s", "tune", lambda f: _seconds(f.tune_seconds)),
        _Shown("peak memory", "memory", _peak_memory),
        _Shown("unfit", "unfit", lambda f: f"{f.unfit} of {f.accuracy.trainings}" if f.unfit else ""),
    ]


def _table(board: Leaderboard, style: str, escape: Callable[[str], str]) -> str:
    """The table without its footnotes; columns that are empty in every row are left out."""
    from tabulate import tabulate

    numbers = _numbered(board)
    columns = _columns(board)
    cells = [[_cell(row, column, numbers) for column in columns] for row in board.rows]
    used = [place for place in range(len(columns)) if any(line[place] for line in cells)]
    return tabulate(
        [[escape(row.label), *(line[place] for place in used)] for row, line in zip(board.rows, cells, strict=True)],
        headers=["method", *(escape(columns[place].header) for place in used)],
        tablefmt=style,
        disable_numparse=True,
        colalign=("left", *("right" for _ in used)),
    )


def _cell(row: Row, column: _Shown, numbers: dict[str, int]) -> str:
    text = column.text(row.figures) if row.figures is not None else row.status if column.name == "accuracy" else ""
    marks = sorted({numbers[note.text] for note in row.notes if note.column == column.name})
    return f"{text} [{','.join(map(str, marks))}]" if marks else text


def _numbered(board: Leaderboard) -> dict[str, int]:
    """Footnote texts in the order of their first mention, each with its number."""
    texts = dict.fromkeys(note.text for row in board.rows for note in row.notes)
    return {text: number for number, text in enumerate(texts, 1)}


def _percent(found: Interval | None, signed: bool = False) -> str:
    if found is None:
        return ""
    mean = round(100 * found.mean, 1) + 0.0  # not -0.0
    text = f"{mean:+.1f}" if signed else f"{mean:.1f}"
    return text if found.half_width is None else f"{text} ± {100 * found.half_width:.1f}"


def _trainings(found: Interval) -> str:
    if found.trainings == found.seeds * found.networks:
        return f"{found.seeds} × {found.networks}"
    return f"{found.seeds} × up to {found.networks}"


def _mebibytes(extent: Extent | None) -> str:
    if extent is None:
        return ""
    low, high = (_three_digits(value / _MIB) for value in (extent.low, extent.high))
    return low if extent.low == extent.high else f"{low}–{high}"


def _three_digits(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:#.3g}" if value else "0"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _peak_memory(figures: Figures) -> str:
    peak, where = (figures.peak_device, "GPU") if figures.peak_device else (figures.peak_host, "RSS")
    if not peak:
        return ""
    return f"{peak / _GIB:.1f} GiB {where}" if peak >= _GIB else f"{peak / _MIB:.0f} MiB {where}"


# ----------------------------------------------------------------------------------------------------------------------
# The table a program reads

_INTERVALS = ("accuracy", "top5", "gain")
_CSV_COLUMNS = (
    "dataset", "fingerprint", "profile", "network", "geometry", "protocol", "judged_on", "ipc", "setting", "setting_label",
    "method", "label", "config", "source", "reference", "status", "seeds", "networks", "trainings",
    *(f"{name}{part}" for name in _INTERVALS for part in ("", "_low", "_high", "_covers")),
    "baseline", "share_of_full", "chance", "majority",
    "storage_bytes_min", "storage_bytes_max", "storage_bytes_fp32_min", "storage_bytes_fp32_max",
    "distil_seconds", "upstream_seconds", "upstream_shared", "tune_seconds", "tune_shared",
    "peak_device_bytes", "peak_host_bytes", "unfit", "notes", "remarks",
)  # fmt: skip


def _csv_row(board: Leaderboard, row: Row) -> dict[str, Any]:
    group = board.group
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
        "baseline": board.baseline,
        "chance": board.chance,
        "majority": board.majority,
        "notes": "; ".join(note.text for note in row.notes),
        "remarks": "; ".join(board.remarks),
    }
    if row.figures is not None:
        values |= _csv_figures(row.figures)
    return values


def _csv_figures(figures: Figures) -> dict[str, Any]:
    values: dict[str, Any] = {
        "seeds": figures.accuracy.seeds,
        "networks": figures.accuracy.networks,
        "trainings": figures.accuracy.trainings,
        "share_of_full": figures.share,
        "distil_seconds": figures.distil_seconds,
        "upstream_seconds": figures.upstream_seconds,
        "upstream_shared": figures.upstream_shared,
        "tune_seconds": figures.tune_seconds,
        "tune_shared": figures.tune_shared,
        "peak_device_bytes": figures.peak_device,
        "peak_host_bytes": figures.peak_host,
        "unfit": figures.unfit,
    }
    for name, found in zip(_INTERVALS, (figures.accuracy, figures.top5, figures.gain), strict=True):
        if found is not None:
            parts = (found.mean, found.low, found.high, found.covers)
            values |= {f"{name}{end}": part for end, part in zip(("", "_low", "_high", "_covers"), parts, strict=True)}
    for name, extent in (("storage_bytes", figures.stored), ("storage_bytes_fp32", figures.stored_fp32)):
        if extent is not None:
            values |= {f"{name}_min": extent.low, f"{name}_max": extent.high}
    return values
