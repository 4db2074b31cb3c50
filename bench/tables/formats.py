"""Records as text: which tables there are of each layout, which columns each has, and every format they are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.store.records import Record
from bench.tables import nets_formats, notation, raw, sheet, stats, taxonomy_formats, temporal_formats, views
from bench.tables.comparisons import ALPHA
from bench.tables.critical import ENOUGH_DATASETS
from bench.tables.leaderboard import leaderboards
from bench.tables.leaks import Leaks
from bench.tables.nets import nets_tables
from bench.tables.published import Reported
from bench.tables.rows import Figures, Group, Leaderboard, Row, setting_label
from bench.tables.sheet import Sheet
from bench.tables.stats import Estimator
from bench.tables.taxonomy import taxonomy_tables
from bench.tables.temporal import temporal_tables

Format = Literal["terminal", "md", "latex", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

By = Literal["ipc", "bytes", "setting", "probes", "taxonomy", "nets"]
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
_INFLATION = (
    "Selection inflation: points that the best checkpoint of the training, chosen on the test clips, would add."
)
_DDRANKING = "HLR, IOR, LRS: DD-Ranking's scores, in fractions; HLR: the lower the better."
_PARETO = (
    "Pareto: no other row is at least as accurate with fewer bytes, or more accurate with as many, going by the means."
)
_SETTING = "Each cell: accuracy in % / MiB stored (bytes / 2^20)."
_INTERVALS: dict[Intervals, str] = {
    "student": "±: 95 % interval (Student's t).",
    "bootstrap": "±: 95 % interval (hierarchical bootstrap, which covers too rarely with few seeds).",
}


def render(
    records: Iterable[Record],
    fmt: Format | Literal["markdown"] = "terminal",
    by: By = "ipc",
    published: Sequence[Reported] = (),
    extra: Sequence[Extra] = (),
    intervals: Intervals = "student",
    leaks: Leaks | None = None,
) -> str:
    """All tables of these records as text that ends in a line break.

    Args:
        records: of any cells.
        fmt: how to write them; ``markdown`` is ``md``.
        by: ``ipc``: a leaderboard for each IPC and setting, then mean ranks over datasets; ``bytes``: a table for each group,
            sorted by bytes; ``setting``: a table for each IPC, one line a setting; ``probes``: a leaderboard's rows under
            the temporal probes; ``taxonomy``: a table for each method, one line a setting, datasets and IPC across; ``nets``:
            a leaderboard's methods, the networks that judged their sets across.
        published: figures of papers, to stand beside the measured ones.
        extra: columns of a leaderboard that people see only if they ask. CSV and JSON always have them.
        intervals: how they are made.
        leaks: which test clips leaked into train: leaderboards, CSV and JSON show the accuracy without them, too.
    """
    boards = leaderboards(records, published=published, estimator=estimator_of(intervals), leaks=leaks)
    return render_boards(boards, fmt, by, extra, intervals)


def render_boards(
    boards: Sequence[Leaderboard],
    fmt: Format | Literal["markdown"] = "terminal",
    by: By = "ipc",
    extra: Sequence[Extra] = (),
    intervals: Intervals = "student",
) -> str:
    """`render` of leaderboards that are made already, with the same kind of intervals."""
    estimator = estimator_of(intervals)
    if fmt == "csv":
        return raw.as_csv(_in_order(boards, by), estimator)
    if fmt == "json":
        return raw.as_json(_in_order(boards, by), boards, views.over_datasets(boards), estimator)
    spread, nothing = [_TRAININGS, _INTERVALS[intervals]], "no records"
    if by == "bytes":
        heading, legend = "By bytes", [*spread, _BYTES, _PARETO]
        sheets = [_bytes_sheet(points) for points in views.by_bytes(boards)]
    elif by == "setting":
        heading, legend = "By temporal setting", [_SETTING, _INTERVALS[intervals]]
        sheets = [_setting_sheet(table) for table in views.by_setting(boards)]
    elif by == "probes":
        heading, legend = "Temporal probes", [temporal_formats.LEGEND, _INTERVALS[intervals]]
        sheets, nothing = temporal_formats.sheets(temporal_tables(boards, estimator)), temporal_formats.NOTHING
    elif by == "taxonomy":
        heading, legend = "Temporal taxonomy", [taxonomy_formats.LEGEND, _INTERVALS[intervals]]
        sheets, nothing = taxonomy_formats.sheets(taxonomy_tables(boards, estimator)), taxonomy_formats.NOTHING
    elif by == "nets":
        heading, legend = "Across networks", [nets_formats.LEGEND, _INTERVALS[intervals]]
        sheets, nothing = nets_formats.sheets(nets_tables(boards, estimator)), nets_formats.NOTHING
    else:
        heading, legend = "Leaderboards", [*spread, *_legend(boards, extra)]
        sheets = [_sheet(board, extra) for board in boards] + list(map(_ranks_sheet, views.over_datasets(boards)))
    text = " ".join(legend) if sheets else nothing
    if fmt in ("md", "markdown"):
        made = "Made from the records by `python -m bench table --write`.\n"
        return "\n".join([f"# {heading}\n", made, sheet.markdown(sheets, text)])
    if not sheets:
        return f"{text}\n"
    return {"terminal": sheet.terminal, "latex": sheet.latex, "html": sheet.html}[fmt](sheets, text)


def estimator_of(intervals: Intervals) -> Estimator:
    """What makes these intervals."""
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
        *([_INFLATION] if any(f.inflation is not None for f in figures) else []),
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
    if by == "nets":
        return [(board, row) for table in nets_tables(boards) for board in table.boards for row in board.rows]
    if by == "probes":
        return [(table.board, row.row) for table in temporal_tables(boards) for row in table.rows]
    return every


# ----------------------------------------------------------------------------------------------------------------------
# A leaderboard


@dataclass(frozen=True)
class _Shown:
    """A column: its header, what footnotes call it, and its text."""

    header: str
    name: str | None
    text: Callable[[Figures], str]


def _columns(board: Leaderboard, extra: Sequence[Extra]) -> list[_Shown]:
    columns = [
        _Shown("accuracy %", "accuracy", notation.accuracy),
        _Shown("rank", None, lambda f: "" if f.rank is None else str(f.rank)),
        _Shown("n × m", None, notation.trainings),
        _Shown("top-5 %", "top5", lambda f: notation.percent(f.top5)),
        _Shown("accuracy without leaked clips %", "without_leaks", lambda f: notation.percent(f.without_leaks)),
        _Shown(
            "selection inflation",
            "inflation",
            lambda f: "" if f.inflation is None else notation.points(f.inflation, True),
        ),
        _Shown("% of full", "share", lambda f: "" if f.share is None else f"{100 * f.share:.1f}"),
        _Shown(f"gain over {board.baseline}", "gain", lambda f: notation.percent(f.gain, signed=True)),
        _Shown("reported %", "reported", lambda f: "" if f.reported is None else notation.reported(f.reported)),
        _Shown("deviation", None, lambda f: "" if f.deviation is None else notation.points(f.deviation, signed=True)),
        _Shown("MiB", "stored", lambda f: notation.mebibytes(f.stored)),
        _Shown("MiB float32", None, lambda f: notation.mebibytes(f.stored_fp32)),
        _Shown("distil s", None, lambda f: notation.seconds(f.distil_seconds)),
        _Shown("upstream s", "upstream", lambda f: notation.seconds(f.upstream_seconds)),
        _Shown("tune s", "tune", lambda f: notation.seconds(f.tune_seconds)),
        _Shown("peak memory", "memory", notation.peak_memory),
        _Shown("unfit", "unfit", lambda f: f"{f.unfit} of {f.trainings}" if f.unfit else ""),
    ]
    if "ddranking" in extra:
        columns += [
            _Shown("HLR", "hlr", lambda f: "" if f.relative is None else f"{f.relative.hlr:.3f}"),
            _Shown("IOR", None, lambda f: "" if f.relative is None else f"{f.relative.ior:+.3f}"),
            _Shown("LRS", None, lambda f: "" if f.relative is None else f"{f.relative.lrs:.3f}"),
        ]
    return columns


def _sheet(board: Leaderboard, extra: Sequence[Extra]) -> Sheet:
    """The leaderboard without the columns that are empty in every row, and without footnotes to what is not shown."""
    columns = [
        column
        for column in _columns(board, extra)
        if column.name == "accuracy" or any(_text(row, column) or _footnotes(row, column.name) for row in board.rows)
    ]
    shown = [column.name for column in columns]
    numbers = sheet.numbered(note for row in board.rows for note in _footnotes(row, *shown))
    return Sheet(
        title=board.title,
        headers=("method", *(column.header for column in columns)),
        rows=tuple((row.label, *(_marked(row, column, numbers) for column in columns)) for row in board.rows),
        footnotes=tuple(numbers),
        remarks=board.remarks,
    )


def _marked(row: Row, column: _Shown, numbers: Mapping[str, int]) -> str:
    return sheet.marked(_text(row, column), _footnotes(row, column.name), numbers)


def _text(row: Row, column: _Shown) -> str:
    """A cell without its footnotes; the status of a row without figures stands in its accuracy."""
    return column.text(row.figures) if row.figures is not None else row.status if column.name == "accuracy" else ""


def _footnotes(row: Row, *columns: str | None) -> list[str]:
    return [note.text for note in row.notes if note.column in columns]


# ----------------------------------------------------------------------------------------------------------------------
# The other layouts


def _bytes_sheet(points: Sequence[views.Point]) -> Sheet:
    group = points[0].board.group
    numbers = sheet.numbered(note for point in points for note in _footnotes(point.row, "accuracy", "stored"))
    accuracy = _Shown("accuracy %", "accuracy", lambda f: notation.percent(f.accuracy))
    stored = _Shown("MiB", "stored", lambda f: notation.mebibytes(f.stored))
    budgeted = any(point.board.budget is not None for point in points)
    rows = []
    for point in points:
        row, figures = point.row, point.row.figures
        if figures is not None:
            rows.append((
                row.label,
                "" if row.reference else setting_label(point.board.setting, group.frames()),
                *(["" if row.reference or point.board.budget is None else point.board.amount()] if budgeted else []),
                "" if row.reference else views.clips_a_class(point.board, row),
                _marked(row, stored, numbers), notation.mebibytes(figures.stored_fp32), _marked(row, accuracy, numbers),
                notation.trainings(figures), "yes" if point.optimal else "",
            ))  # fmt: skip
    headers = (
        "method",
        "setting",
        *(["budget"] if budgeted else []),
        "IPC",
        "MiB",
        "MiB float32",
        "accuracy %",
        "n × m",
        "Pareto",
    )
    return Sheet(_title("by bytes", group), headers, tuple(rows), names=2, footnotes=tuple(numbers))


def _setting_sheet(table: views.BySetting) -> Sheet:
    group = table.boards[0].group
    rows_by_label = [{row.label: row for row in board.rows if not row.reference} for board in table.boards]
    found = [rows[label] for rows in rows_by_label for label in table.methods if label in rows]
    numbers = sheet.numbered(note for row in found for note in _footnotes(row, "accuracy"))
    cell = _Shown(
        "",
        "accuracy",
        lambda f: f"{notation.percent(f.accuracy)} / {notation.mebibytes(f.stored)}" if f.accuracy else "",
    )
    rows = [
        (
            setting_label(board.setting, group.frames()),
            *(_marked(rows[label], cell, numbers) if label in rows else "" for label in table.methods),
        )
        for board, rows in zip(table.boards, rows_by_label, strict=True)
    ]
    remarks = [
        f"{row.label}: {notation.percent(row.figures.accuracy)}" for row in table.references if row.figures is not None
    ]
    sizes = sorted({notation.trainings(row.figures) for row in found if row.figures is not None})
    remarks += [f"distillation seeds × networks trained on each set: {', '.join(sizes)}"] if sizes else []
    return Sheet(
        title=_title(table.boards[0].amount(), group, "by temporal setting"),
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
        board.amount(),
        setting_label(board.setting, group.frames()),
        group.profile,
        group.protocol,
        group.judge(),
    ]
    return Sheet(
        title=" · ".join([f"mean ranks over {len(ranks.datasets)} datasets", *parts]),
        headers=("method", "mean rank", "group"),
        rows=tuple((name, f"{rank:.2f}", letters[name]) for name, rank in ranks.ranks.items()),
        remarks=tuple(remarks),
    )


def _title(what: str, group: Group, more: str = "") -> str:
    parts = [group.dataset, what, more, group.profile, group.protocol, group.judge()]
    parts += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    return " · ".join(part for part in parts if part)
