"""Every column, once: what it is called, how people read it, what programs read, and what the legend says of it.

The terminal, Markdown, LaTeX, HTML, CSV, JSON and the report all read `COLUMNS`. A new column is a new object in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, final, get_args

from bench.core.frame_order import PROBES
from bench.tables import notation, stats
from bench.tables.comparisons import ALPHA
from bench.tables.intervals import EXPLAINED, Intervals
from bench.tables.probe_figures import Probed, TemporalRow, temporal_row
from bench.tables.rows import Extent, Figures, Leaderboard, Row
from bench.tables.stats import Estimator, Interval

Extra = Literal["ddranking", "objective"]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

View = Literal["leaderboard", "probes", "page", "page probes"]
"""Where people see a column: in leaderboards, in the tables of temporal probes, and in the same two on the report's page."""


@final
@dataclass(frozen=True)
class Line:
    """A row with everything that a column may show of it; ``estimator`` makes the intervals of its temporal probes."""

    board: Leaderboard
    row: Row
    estimator: Estimator = stats.interval

    @functools.cached_property
    def probed(self) -> TemporalRow:
        """The row under the temporal probes."""
        return temporal_row(self.row, self.estimator)


def _no_text(line: Line) -> str:
    return ""


@final
@dataclass(frozen=True)
class Column:
    """One column of every table.

    Attributes:
        key: what footnotes (`Note`) and the page call it.
        header: above the column; ``{baseline}`` stands for the method that gains are over.
        text: what people read; "" where there is nothing.
        values: what programs read, by its name in CSV and JSON: plain values, None where there is nothing.
        legend: a sentence that explains it; ``{intervals}`` stands for how intervals are made.
        explained: whether the legend has the sentence even if no row fills the column.
        shown: where people see it.
        extra: what they must ask for to see it in a leaderboard.
        is_name: whether it holds names, aligned left, and not figures.
        optional: whether CSV and JSON have it only where some row does.
        shared: whether all rows of a leaderboard have the same; the page says it once.
        of_budget: whether it depends on the budget; the page leaves it out of the one row of the full data.
        sort: by what the page sorts; without it by the first of ``values``.
    """

    key: str
    header: str = ""
    text: Callable[[Line], str] = _no_text
    values: Mapping[str, Callable[[Line], Any]] = field(default_factory=dict)
    legend: str = ""
    explained: bool = False
    shown: Sequence[View] = ("leaderboard", "page")
    extra: Extra | None = None
    is_name: bool = False
    optional: bool = False
    shared: bool = False
    of_budget: bool = False
    sort: Callable[[Line], Any] | None = None

    def sort_key(self, line: Line) -> Any:
        """By what the page sorts the line; None where there is nothing."""
        if self.sort is not None:
            return self.sort(line)
        first = next(iter(self.values.values()), None)
        return None if first is None else first(line)


# ----------------------------------------------------------------------------------------------------------------------
# Shorthand for the list below

_T = TypeVar("_T")
_Values = dict[str, Callable[[Line], Any]]


def _fact(name: str, value: Callable[[Line], Any], shared: bool = False, optional: bool = False) -> Column:
    """A column for programs alone."""
    return Column(name, values={name: value}, shown=(), shared=shared, optional=optional)


def _value(get: Callable[[Figures], Any]) -> Callable[[Line], Any]:
    """A figure, or None in a row without figures."""
    return lambda line: None if line.row.figures is None else get(line.row.figures)


def _text(get: Callable[[Figures], _T | None], write: Callable[[_T], str]) -> Callable[[Line], str]:
    """The text of a figure, or "" where there is none."""

    def text(line: Line) -> str:
        value = None if line.row.figures is None else get(line.row.figures)
        return "" if value is None else write(value)

    return text


def _interval(name: str, get: Callable[[Line], Interval | None]) -> _Values:
    """Mean, ends and what they speak of."""

    def part(attribute: str) -> Callable[[Line], Any]:
        return lambda line: None if (interval := get(line)) is None else getattr(interval, attribute)

    return {name: part("mean"), **{f"{name}_{end}": part(end) for end in ("low", "high", "covers")}}


def _extent(name: str, get: Callable[[Figures], Extent | None]) -> _Values:
    """The smallest and the largest over the seeds."""

    def part(attribute: str) -> Callable[[Line], Any]:
        return _value(lambda f: None if (extent := get(f)) is None else getattr(extent, attribute))

    return {f"{name}_min": part("low"), f"{name}_max": part("high")}


def _relative(name: str, write: Callable[[float], str], legend: str = "") -> Column:
    """A score of DD-Ranking."""

    def score(figures: Figures) -> float | None:
        return None if figures.relative is None else getattr(figures.relative, name)

    values = {name: _value(score)}
    return Column(name, name.upper(), _text(score, write), values, legend, explained=True, extra="ddranking")


def _reported(name: str) -> Callable[[Line], Any]:
    return _value(lambda f: None if f.reported is None else getattr(f.reported, name))


def _accuracy(line: Line) -> str:
    """The status of a row without figures stands in the place of its accuracy."""
    return line.row.status if line.row.figures is None else notation.accuracy(line.row.figures)


def plain_accuracy(line: Line) -> str:
    """The same without the sign of the best."""
    return line.row.status if line.row.figures is None else notation.percent(line.row.figures.accuracy)


def clips_a_class(line: Line) -> str:
    """Clips a class: as asked for or, with a budget in bytes, as they fit."""
    if line.board.budget is None:
        return str(line.board.ipc)
    sets = [(record.set, record.data.get("classes", 1)) for record in line.row.cells]
    counts = {-(-stored.clips // max(1, classes)) for stored, classes in sets if stored is not None}
    return f"{min(counts)}–{max(counts)}" if len(counts) > 1 else "".join(map(str, counts))


def _clips_that_fit(line: Line) -> str:
    """Of a budget in bytes; a budget in clips says it itself."""
    fits = line.board.budget is not None and line.row.cells and not line.row.reference
    return clips_a_class(line) if fits else ""


def _fewest_clips(line: Line) -> int | None:
    return int(_clips_that_fit(line).partition("–")[0] or 0) or None


def _probe(name: str) -> Column:
    """Accuracy on test clips that were altered in one way."""

    def probed(line: Line) -> Probed | None:
        return line.probed.probes.get(name)

    values = {
        name: lambda line: None if (p := probed(line)) is None else p.accuracy,
        **_interval(f"{name}_minus_accuracy", lambda line: None if (p := probed(line)) is None else p.difference),
    }
    return Column(name, name, lambda line: notation.probed(probed(line)), values, shown=("probes",))


_percent, _signed_percent = notation.percent, functools.partial(notation.percent, signed=True)
_signed_points = functools.partial(notation.points, signed=True)


# ----------------------------------------------------------------------------------------------------------------------
# The columns


COLUMNS: tuple[Column, ...] = (
    _fact("leaderboard", lambda line: line.board.title, shared=True),
    _fact("dataset", lambda line: line.board.group.dataset, shared=True),
    _fact("fingerprint", lambda line: line.board.group.fingerprint, shared=True),
    _fact("profile", lambda line: line.board.group.profile, shared=True),
    _fact("network", lambda line: line.board.group.network, shared=True),
    _fact("geometry", lambda line: dict(line.board.group.geometry), shared=True),
    _fact("protocol", lambda line: line.board.group.protocol, shared=True),
    _fact("judged_on", lambda line: line.board.group.judged_on, shared=True),
    Column(
        "amount", "budget", lambda line: "" if line.row.reference else line.board.amount(),
        {"ipc": lambda line: line.board.ipc, "budget": lambda line: line.board.budget},
        shown=("page",), is_name=True, of_budget=True, sort=lambda line: (line.board.budget or 0, line.board.ipc or 0),
    ),
    Column("clips", "clips a class", _clips_that_fit, shown=("page",), sort=_fewest_clips),
    Column(
        "setting", "setting", lambda line: "" if line.row.reference else line.board.setting_label(),
        {"setting": lambda line: line.board.setting, "setting_label": lambda line: line.board.setting_label()},
        shown=("page",), is_name=True, of_budget=True, sort=lambda line: line.board.setting_label(),
    ),
    Column(
        "method", "method", lambda line: line.row.label,
        {"method": lambda line: line.row.method, "label": lambda line: line.row.label},
        shown=("leaderboard", "probes", "page"), is_name=True, sort=lambda line: line.row.label.lower(),
    ),
    _fact("config", lambda line: None if line.row.config is None else dict(line.row.config)),
    _fact("version", lambda line: None if line.row.state is None else line.row.state.version),
    _fact("source", lambda line: line.row.source),
    _fact("reference", lambda line: line.row.reference),
    _fact("status", lambda line: line.row.status),
    Column(
        "trainings", "n × m", _text(lambda f: f, notation.trainings),
        {
            "seeds": _value(lambda f: f.seeds),
            "networks": _value(lambda f: f.networks),
            "trainings": _value(lambda f: f.trainings),
        },
        "n × m: distillation seeds × networks trained on each set, or how many of all there are.", explained=True,
        sort=_value(lambda f: f.trainings),
    ),
    Column(
        "accuracy", "accuracy %", _accuracy, _interval("accuracy", _value(lambda f: f.accuracy)),
        "±: {intervals}.", explained=True, shown=("leaderboard", "probes", "page"),
    ),
    Column("top5", "top-5 %", _text(lambda f: f.top5, _percent), _interval("top5", _value(lambda f: f.top5))),
    Column(
        "gain", "gain over {baseline}", _text(lambda f: f.gain, _signed_percent),
        _interval("gain", _value(lambda f: f.gain)),
        "Gain: difference in points, paired by seed and network.", of_budget=True,
    ),
    Column(
        "own_gain", "gain over own start", _text(lambda f: f.own_gain, notation.own_gain),
        _interval("own_gain", _value(lambda f: f.own_gain)),
        "Own start: the same set before anything was learned, paired likewise; ▼: learning made it worse.",
        of_budget=True,
    ),
    Column(
        "objective", "objective", _text(lambda f: f.objective, notation.objective),
        {
            "objective_before": _value(lambda f: None if f.objective is None else f.objective.before),
            "objective_after": _value(lambda f: None if f.objective is None else f.objective.after),
        },
        "Objective: the loss that a method descends, at its start and over the last tenth of its steps.",
        extra="objective", optional=True, of_budget=True,
    ),
    Column(
        "rank", "rank", _text(lambda f: f.rank, str),
        {"rank": _value(lambda f: f.rank), "tied_with_best": _value(lambda f: None if f.rank is None else f.tied)},
        "Rank: 1 + the number of methods that are significantly better; †: the best mean, or not distinguishable from it "
        f"(paired tests of all pairs, Holm-corrected, {100 * ALPHA:.0f} %).", of_budget=True,
    ),
    _fact("baseline", lambda line: line.board.baseline, shared=True),
    Column(
        "share", "% of full", _text(lambda f: f.share, lambda share: f"{100 * share:.1f}"),
        {"share_of_full": _value(lambda f: f.share)}, of_budget=True,
    ),
    _relative("hlr", "{:.3f}".format, "HLR, IOR, LRS: DD-Ranking's scores, in fractions; HLR: the lower the better."),
    _relative("ior", "{:+.3f}".format),
    _relative("lrs", "{:.3f}".format),
    Column(
        "reported", "reported %", _text(lambda f: f.reported, notation.reported),
        {
            "reported": _reported("mean"),
            "reported_std": _reported("std"),
            "reported_metric": _reported("metric"),
            "reported_by": _reported("paper"),
            "reported_confidence": _reported("confidence"),
            "reported_source": _reported("source"),
        },
        "Deviation: measured minus reported, in points; ‡: read second-hand.",
    ),
    Column(
        "deviation", "deviation", _text(lambda f: f.deviation, _signed_points),
        {"deviation": _value(lambda f: f.deviation)},
    ),
    _fact("chance", lambda line: line.board.chance, shared=True),
    _fact("majority", lambda line: line.board.majority, shared=True),
    Column(
        "stored", "MiB", _text(lambda f: f.stored, notation.mebibytes), _extent("storage_bytes", lambda f: f.stored),
        "MiB: bytes stored / 2^20; float32: at four bytes a number.", explained=True,
        sort=_value(lambda f: None if f.stored is None else f.stored.high),
    ),
    Column(
        "stored_fp32", "MiB float32", _text(lambda f: f.stored_fp32, notation.mebibytes),
        _extent("storage_bytes_fp32", lambda f: f.stored_fp32),
        sort=_value(lambda f: None if f.stored_fp32 is None else f.stored_fp32.high),
    ),
    Column(
        "distil", "distil s", _text(lambda f: f.distil_seconds, notation.seconds),
        {"distil_seconds": _value(lambda f: f.distil_seconds)},
    ),
    Column(
        "upstream", "upstream s", _text(lambda f: f.upstream_seconds, notation.seconds),
        {"upstream_seconds": _value(lambda f: f.upstream_seconds), "upstream_shared": _value(lambda f: f.upstream_shared)},
    ),
    Column(
        "tune", "tune s", _text(lambda f: f.tune_seconds, notation.seconds),
        {"tune_seconds": _value(lambda f: f.tune_seconds), "tune_shared": _value(lambda f: f.tune_shared)},
    ),
    Column(
        "memory", "peak memory", _text(lambda f: f, notation.peak_memory),
        {"peak_device_bytes": _value(lambda f: f.peak_device), "peak_host_bytes": _value(lambda f: f.peak_host)},
        sort=_value(lambda f: f.peak_device or f.peak_host),
    ),
    Column(
        "unfit", "unfit", _text(lambda f: f if f.unfit else None, lambda f: f"{f.unfit} of {f.trainings}"),
        {"unfit": _value(lambda f: f.unfit)},
    ),
    *map(_probe, PROBES),
    Column(
        "temporal_gain", "temporal gain", lambda line: _signed_percent(line.probed.gain),
        _interval("temporal_gain", lambda line: line.probed.gain), shown=("probes", "page", "page probes"),
    ),
    Column(
        "moving_gain", "with a moving test", lambda line: _signed_percent(line.probed.moving_gain),
        _interval("temporal_gain_moving_test", lambda line: line.probed.moving_gain), shown=("probes", "page probes"),
    ),
    Column(
        "motion", "motion set / real", lambda line: notation.motion(line.probed.motion_set, line.probed.motion_real),
        {"motion_set": lambda line: line.probed.motion_set, "motion_real": lambda line: line.probed.motion_real},
        shown=("probes", "page probes"),
    ),
    _fact("notes", lambda line: [*(note.text for note in line.row.notes), *line.probed.notes]),
    _fact("remarks", lambda line: list(line.board.remarks), shared=True),
    _fact("distilled_with", lambda line: line.board.group.distilled_with if line.board.group.crosses() else None, optional=True),
    Column(
        "without_leaks", "accuracy without leaked clips %", _text(lambda f: f.without_leaks, _percent),
        _interval("accuracy_without_leaks", _value(lambda f: f.without_leaks)), optional=True,
    ),
    _fact("leaked_left_out", _value(lambda f: f.left_out), optional=True),
    Column(
        "inflation", "selection inflation", _text(lambda f: f.inflation, _signed_points),
        {"selection_inflation": _value(lambda f: f.inflation)},
        "Selection inflation: points that the best checkpoint of the training, chosen on the test clips, would add.",
        optional=True,
    ),
)  # fmt: skip
"""In the order of CSV and JSON."""

ORDER: dict[View | Literal["legend"], tuple[str, ...]] = {
    "leaderboard": (
        "method", "accuracy", "rank", "trainings", "top5", "without_leaks", "inflation", "share", "gain", "reported",
        "deviation", "stored", "stored_fp32", "distil", "upstream", "tune", "memory", "unfit", "hlr", "ior", "lrs",
    ),
    "probes": ("method", "accuracy", *PROBES, "temporal_gain", "moving_gain", "motion"),
    "page": (
        "method", "accuracy", "amount", "clips", "setting", "rank", "top5", "without_leaks", "inflation", "share", "gain",
        "temporal_gain", "reported", "deviation", "hlr", "ior", "lrs", "stored", "stored_fp32", "distil", "upstream", "tune",
        "memory", "trainings", "unfit",
    ),
    "page probes": ("temporal_gain", "moving_gain", "motion"),
    "legend": ("trainings", "accuracy", "rank", "gain", "inflation", "reported", "stored", "hlr"),
}  # fmt: skip
"""How people read them, from left to right; what is not named here comes last."""

_BY_KEY = {each.key: each for each in COLUMNS}


# ----------------------------------------------------------------------------------------------------------------------
# Which of them a table has


def column(key: str) -> Column:
    """The column of this key."""
    return _BY_KEY[key]


def columns_of(view: View, extra: Iterable[Extra] = EXTRAS) -> list[Column]:
    """What people see there, from left to right."""
    asked = set(extra)
    return _ordered([c for c in COLUMNS if view in c.shown and (c.extra is None or c.extra in asked)], view)


def legend_of(columns: Sequence[Column], lines: Sequence[Line], intervals: Intervals) -> list[str]:
    """What the legend says of these columns: of those that a row fills, and of those that are always explained."""
    return [
        each.legend.format(intervals=EXPLAINED[intervals])
        for each in _ordered(columns, "legend")
        if each.legend and (each.explained or any(map(each.text, lines)))
    ]


def filled(columns: Sequence[Column], lines: Sequence[Line]) -> list[Column]:
    """Those that have a text or a footnote in some row."""
    return [each for each in columns if any(each.text(line) or line.row.footnotes(each.key) for line in lines)]


def values_of(line: Line) -> dict[str, Any]:
    """Everything that programs read of a row, by its name in CSV and JSON."""
    return {name: get(line) for each in COLUMNS for name, get in each.values.items()}


def _ordered(columns: Sequence[Column], order: View | Literal["legend"]) -> list[Column]:
    places = {key: place for place, key in enumerate(ORDER[order])}
    return sorted(columns, key=lambda each: places.get(each.key, len(places)))
