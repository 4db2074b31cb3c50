"""Leaderboards as tables that people read: which columns there are, how figures are written, which signs they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.store.records import Record
from bench.tables import raw, sheet, stats, views
from bench.tables.comparisons import ALPHA
from bench.tables.critical import ENOUGH_DATASETS
from bench.tables.leaderboard import Column, Extent, Figures, Group, Leaderboard, Note, Row, leaderboards, setting_label
from bench.tables.published import Reported
from bench.tables.sheet import Sheet
from bench.tables.sheet import markdown_text as markdown_text
from bench.tables.sheet import printable as printable
from bench.tables.stats import Estimator, Interval

Format = Literal["terminal", "md", "latex", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

By = Literal["ipc", "bytes", "setting"]
BY: tuple[By, ...] = get_args(By)

Extra = Literal["ddranking"]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

Intervals = Literal["student", "bootstrap"]
INTERVALS: tuple[Intervals, ...] = get_args(Intervals)

_TRAININGS = "n × m: distillation seeds × networks trained on each set, or how many of all there are."
_BYTES = "MiB: bytes stored / 2^20; float32: at four bytes a number."
_RANKS = (
    "Rank: 1 + the number of methods that are significantly better; †: the best mean, or not distinguishable from it "
    f"(paired tests of all pairs, Holm-corrected, {100 * ALPHA:.0f} %)."
)
_GAIN = "Gain: difference in points, paired by seed and network."
_REPORTED = "Deviation: measured minus reported, in points; ‡: read second-hand."
_DDRANKING = "HLR, IOR, LRS: DD-Ranking's scores, in fractions; HLR: the lower the better."
_PARETO = (
    "Pareto: no other row is at least as accurate with fewer bytes, or more accurate with as many, going by the means."
)
_SETTING = "Each cell: accuracy in % / MiB stored (bytes / 2^20)."
_INTERVALS: dict[Intervals, str] = {
    "student": "±: 95 % interval (Student's t).",
    "bootstrap": "±: 95 % interval (hierarchical bootstrap, which covers too rarely with few seeds).",
}

_TIED = "†"
_SECOND_HAND = "‡"
_MIB = 2**20
_GIB = 2**30


def render(
    records: Iterable[Record],
    fmt: Format | Literal["markdown"] = "terminal",
    by: By = "ipc",
    published: Sequence[Reported] = (),
    extra: Sequence[Extra] = (),
    intervals: Intervals = "student",
) -> str:
    """All tables of these records as text that ends in a line break.

    Args:
        records: of any cells.
        fmt: how to write them; ``markdown`` is ``md``.
        by: ``ipc``: a leaderboard for each IPC and setting, then mean ranks over datasets; ``bytes``: a table for each group,
            sorted by bytes; ``setting``: a table for each IPC, one line a setting.
        published: figures of papers, to stand beside the measured ones.
        extra: columns of a leaderboard that people see only if they ask. CSV and JSON always have them.
        intervals: how they are made.
    """
    boards = leaderboards(records, published=published, estimator=_estimator(intervals))
    if fmt == "csv":
        return raw.as_csv(_in_order(boards, by))
    if fmt == "json":
        return raw.as_json(_in_order(boards, by), boards, views.over_datasets(boards))
    spread = [_TRAININGS, _INTERVALS[intervals]]
    if by == "bytes":
        heading, legend = "By bytes", [*spread, _BYTES, _PARETO]
        sheets = [_bytes_sheet(points) for points in views.by_bytes(boards)]
    elif by == "setting":
        heading, legend = "By temporal setting", [_SETTING, _INTERVALS[intervals]]
        sheets = [_setting_sheet(table) for table in views.by_setting(boards)]
    else:
        heading, legend = "Leaderboards", [*spread, *_legend(boards, extra)]
        sheets = [_sheet(board, extra) for board in boards] + list(map(_ranks_sheet, views.over_datasets(boards)))
    if fmt in ("md", "markdown"):
        made = "Made from the records by `python -m bench table --write`.\n"
        return "\n".join([f"# {heading}\n", made, sheet.markdown(sheets, " ".join(legend))])
    if not sheets:
        return "no records\n"
    return {"terminal": sheet.terminal, "latex": sheet.latex, "html": sheet.html}[fmt](sheets, " ".join(legend))


def _estimator(intervals: Intervals) -> Estimator:
    if intervals == "student":
        return stats.interval
    from bench.tables.bootstrap import bootstrap_interval

    return bootstrap_interval


def _legend(boards: Sequence[Leaderboard], extra: Sequence[Extra]) -> list[str]:
    """What signs and columns mean, of those that occur."""
    figures = [row.figures for board in boards for row in board.rows if row.figures is not None]
    return [
        *([_RANKS] if any(f.rank is not None for f in figures) else []),
        *([_GAIN] if any(f.gain is not None for f in figures) else []),
        *([_REPORTED] if any(f.reported is not None for f in figures) else []),
        _BYTES,
        *([_DDRANKING] if "ddranking" in extra else []),
    ]


def _in_order(boards: Sequence[Leaderboard], by: By) -> list[tuple[Leaderboard, Row]]:
    """All rows in the order of that layout; those that it leaves out, holes say, at the end."""
    every = [(board, row) for board in boards for row in board.rows]
    if by == "bytes":
        first = [(point.board, point.row) for points in views.by_bytes(boards) for point in points]
        return first + [(board, row) for board, row in every if row.figures is None]
    if by == "setting":
        return [(board, row) for table in views.by_setting(boards) for board in table.boards for row in board.rows]
    return every


# ----------------------------------------------------------------------------------------------------------------------
# A leaderboard


@dataclass(frozen=True)
class _Shown:
    """A column: its header, what footnotes call it, and its text."""

    header: str
    name: Column | None
    text: Callable[[Figures], str]


def _columns(board: Leaderboard, extra: Sequence[Extra]) -> list[_Shown]:
    columns = [
        _Shown("accuracy %", "accuracy", _accuracy),
        _Shown("rank", None, lambda f: "" if f.rank is None else str(f.rank)),
        _Shown("n × m", None, _trainings),
        _Shown("top-5 %", "top5", lambda f: _percent(f.top5)),
        _Shown("% of full", "share", lambda f: "" if f.share is None else f"{100 * f.share:.1f}"),
        _Shown(f"gain over {board.baseline}", "gain", lambda f: _percent(f.gain, signed=True)),
        _Shown("reported %", "reported", lambda f: "" if f.reported is None else _reported(f.reported)),
        _Shown("deviation", None, lambda f: "" if f.deviation is None else _points(f.deviation, signed=True)),
        _Shown("MiB", None, lambda f: _mebibytes(f.stored)),
        _Shown("MiB float32", None, lambda f: _mebibytes(f.stored_fp32)),
        _Shown("distil s", None, lambda f: _seconds(f.distil_seconds)),
        _Shown("upstream s", "upstream", lambda f: _seconds(f.upstream_seconds)),
        _Shown("peak memory", "memory", _peak_memory),
        _Shown("unfit", "unfit", lambda f: f"{f.unfit} of {f.trainings}" if f.unfit else ""),
    ]
    if "ddranking" in extra:
        columns += [
            _Shown("HLR", "ddranking", lambda f: "" if f.relative is None else f"{f.relative.hlr:.3f}"),
            _Shown("IOR", None, lambda f: "" if f.relative is None else f"{f.relative.ior:+.3f}"),
            _Shown("LRS", None, lambda f: "" if f.relative is None else f"{f.relative.lrs:.3f}"),
        ]
    return columns


def _sheet(board: Leaderboard, extra: Sequence[Extra]) -> Sheet:
    """The leaderboard without the columns that are empty in every row, and without footnotes to what is not shown."""
    columns = [
        column
        for column in _columns(board, extra)
        if column.name == "accuracy" or any(_marked(row, column, {}) for row in board.rows)
    ]
    shown = {column.name for column in columns}
    numbers = _numbered(note for row in board.rows for note in row.notes if note.column in shown)
    return Sheet(
        title=board.title,
        headers=("method", *(column.header for column in columns)),
        rows=tuple((row.label, *(_marked(row, column, numbers) for column in columns)) for row in board.rows),
        footnotes=tuple(numbers),
        remarks=board.remarks,
    )


def _marked(row: Row, column: _Shown, numbers: dict[str, int]) -> str:
    """A cell with the numbers of its footnotes; the status of a row without figures stands in its accuracy."""
    text = column.text(row.figures) if row.figures is not None else row.status if column.name == "accuracy" else ""
    notes = (note for note in row.notes if note.column == column.name)
    marks = sorted({numbers.get(note.text, 0) for note in notes})
    return f"{text} [{','.join(map(str, marks))}]".lstrip() if marks else text


def _numbered(notes: Iterable[Note]) -> dict[str, int]:
    """Footnote texts in the order of their first mention, each with its number."""
    return {text: number for number, text in enumerate(dict.fromkeys(note.text for note in notes), 1)}


# ----------------------------------------------------------------------------------------------------------------------
# The other layouts


def _bytes_sheet(points: Sequence[views.Point]) -> Sheet:
    group = points[0].board.group
    numbers = _numbered(note for point in points for note in point.row.notes if note.column == "accuracy")
    accuracy = _Shown("accuracy %", "accuracy", lambda f: _percent(f.accuracy))
    rows = []
    for point in points:
        row, figures = point.row, point.row.figures
        if figures is not None:
            rows.append((
                row.label,
                "" if row.reference else setting_label(point.board.setting, group.frames()),
                "" if row.reference else str(point.board.ipc),
                _mebibytes(figures.stored), _mebibytes(figures.stored_fp32), _marked(row, accuracy, numbers),
                _trainings(figures), "yes" if point.optimal else "",
            ))  # fmt: skip
    headers = ("method", "setting", "IPC", "MiB", "MiB float32", "accuracy %", "n × m", "Pareto")
    return Sheet(_title("by bytes", group), headers, tuple(rows), names=2, footnotes=tuple(numbers))


def _setting_sheet(table: views.BySetting) -> Sheet:
    group, ipc = table.boards[0].group, table.boards[0].ipc
    rows_by_label = [{row.label: row for row in board.rows if not row.reference} for board in table.boards]
    found = [rows[label] for rows in rows_by_label for label in table.methods if label in rows]
    numbers = _numbered(note for row in found for note in row.notes if note.column == "accuracy")
    cell = _Shown("", "accuracy", lambda f: f"{_percent(f.accuracy)} / {_mebibytes(f.stored)}" if f.accuracy else "")
    rows = [
        (
            setting_label(board.setting, group.frames()),
            *(_marked(rows[label], cell, numbers) if label in rows else "" for label in table.methods),
        )
        for board, rows in zip(table.boards, rows_by_label, strict=True)
    ]
    remarks = [f"{row.label}: {_percent(row.figures.accuracy)}" for row in table.references if row.figures is not None]
    sizes = sorted({_trainings(row.figures) for row in found if row.figures is not None})
    remarks += [f"distillation seeds × networks trained on each set: {', '.join(sizes)}"] if sizes else []
    return Sheet(
        title=_title("any IPC" if ipc is None else f"IPC {ipc}", group, "by temporal setting"),
        headers=("setting", *table.methods),
        rows=tuple(rows),
        footnotes=tuple(numbers),
        remarks=tuple(remarks),
    )


def _ranks_sheet(over: views.OverDatasets) -> Sheet:
    board, ranks = over.board, over.ranks
    groups = ranks.groups()
    letters = {name: "".join(chr(97 + k) for k, names in enumerate(groups) if name in names) for name in ranks.ranks}
    found = "differ" if ranks.significant else "cannot be told apart"
    remarks = [
        f"datasets: {', '.join(ranks.datasets)}",
        f"Friedman's test: chi-squared {ranks.statistic:.2f}, p = {ranks.p:.2g}: the methods {found}",
        f"Nemenyi's critical difference: {ranks.difference:.2f}; methods that share a letter are not significantly different",
    ]
    if len(ranks.datasets) < ENOUGH_DATASETS:
        remarks.append(f"with fewer than {ENOUGH_DATASETS} datasets these tests seldom find a difference")
    remarks += [f"not complete on every dataset: {', '.join(over.left_out)}"] if over.left_out else []
    remarks += [f"left out, in several versions: {', '.join(over.ambiguous)}"] if over.ambiguous else []
    group = board.group
    parts = [
        f"IPC {board.ipc}",
        setting_label(board.setting, group.frames()),
        group.profile,
        group.protocol,
        group.network,
    ]
    return Sheet(
        title=" · ".join([f"mean ranks over {len(ranks.datasets)} datasets", *parts]),
        headers=("method", "mean rank", "group"),
        rows=tuple((name, f"{rank:.2f}", letters[name]) for name, rank in ranks.ranks.items()),
        remarks=tuple(remarks),
    )


def _title(what: str, group: Group, more: str = "") -> str:
    parts = [group.dataset, what, more, group.profile, group.protocol, group.network]
    parts += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    return " · ".join(part for part in parts if part)


# ----------------------------------------------------------------------------------------------------------------------
# Figures


def _accuracy(figures: Figures) -> str:
    text = _percent(figures.accuracy)
    return f"{text} {_TIED}" if figures.rank is not None and figures.tied else text


def _percent(found: Interval | None, signed: bool = False) -> str:
    if found is None:
        return ""
    text = _points(found.mean, signed)
    return text if found.half_width is None else f"{text} ± {100 * found.half_width:.1f}"


def _points(value: float, signed: bool = False) -> str:
    rounded = round(100 * value, 1) + 0.0  # not -0.0
    return f"{rounded:+.1f}" if signed else f"{rounded:.1f}"


def _reported(figure: Reported) -> str:
    """As printed, to one or two digits, with what it measures if that is not the accuracy."""
    numbers = [f"{100 * value:.2f}" for value in (figure.mean, figure.std) if value is not None]
    text = " ± ".join(number.removesuffix("0") for number in numbers)
    text += " (top-5)" if figure.metric == "top5" else ""
    return f"{text} {_SECOND_HAND}" if figure.confidence == "secondary" else text


def _trainings(figures: Figures) -> str:
    if figures.complete:
        return f"{figures.seeds} × {figures.networks}"
    return f"{figures.trainings} of {figures.seeds * figures.networks}"


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
