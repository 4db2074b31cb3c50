"""Accuracy against stored bytes as a picture: SVG that needs nothing, on light and on dark pages; the same bytes each time. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import final

from bench.core.text import printable
from bench.tables.by_bytes import Point, by_bytes
from bench.tables.rows import Leaderboard

_WIDTH, _PLOT = 960, 400
_LEFT, _RIGHT = 56, 936
_TOP, _BELOW, _LINE = 64, 52, 24  # above and below a plot, and of a line of its legend; all in pixels

# As in the HTML report: Okabe and Ito's colours, told apart with any colour vision, and a shape with each.
_LIGHT = ("#0072b2", "#d55e00", "#008f68", "#b5588f", "#b87a00", "#2f94cc", "#666c73")
_DARK = ("#5ab4ec", "#ff8a3d", "#2fc79a", "#e59bc9", "#f0b83a", "#9ad7ff", "#a9b0b7")
_SHAPES = (
    "M-5,0A5,5 0 1 1 5,0A5,5 0 1 1 -5,0Z", "M-4.5,-4.5H4.5V4.5H-4.5Z", "M0,-5.5L5.5,4.5H-5.5Z", "M0,-6L6,0L0,6L-6,0Z",
    "M0,5.5L5.5,-4.5H-5.5Z", "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z", "M-5,-5L0,-2L5,-5L2,0L5,5L0,2L-5,5L-2,0Z", "M-6,-3H6V3H-6Z",
)  # fmt: skip

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)


@final
@dataclass(frozen=True)
class _Mark:
    """A row in the plot: shares in [0, 1], bytes, and what it is called."""

    method: str
    text: str
    dense: bool
    stored: int
    mean: float
    low: float
    high: float
    optimal: bool


@final
@dataclass(frozen=True)
class _Scale:
    """Where bytes (logarithmic) and shares lie in a plot whose upper edge is at ``top``."""

    first: int
    last: int
    most: float
    top: int

    def x(self, stored: float) -> float:
        return _LEFT + (math.log2(stored) - self.first) / (self.last - self.first) * (_RIGHT - _LEFT)

    def y(self, share: float) -> float:
        return self.top + _PLOT * (1 - min(max(share, 0.0), self.most) / self.most)


def has_picture(boards: Iterable[Leaderboard]) -> bool:
    """Whether any row has an accuracy and bytes."""
    return bool(_groups(boards))


def picture(boards: Iterable[Leaderboard]) -> str:
    """One plot for each group of rows that may be compared, one below the other.

    Each row is a point with its 95 % interval: filled where whole clips are stored, hollow in another temporal setting. The
    line is the Pareto front: nothing is as accurate for fewer bytes. What is judged on validation (the trials of a search)
    is drawn only where nothing is judged on test clips.
    """
    panels = _groups(boards)
    methods = sorted({mark.method for _, marks in panels for mark in marks})
    parts: list[str] = []
    top = 0
    for points, marks in panels:
        elements, height = _panel(points, marks, methods, top)
        parts += elements
        top += height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" role="img" '
        'aria-label="Accuracy against bytes stored, with the Pareto front">'
    )
    return "\n".join(
        [
            head,
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{top}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _groups(boards: Iterable[Leaderboard]) -> Sequence[tuple[Sequence[Point], list[_Mark]]]:
    """Rows of each group that is drawn, and their marks."""
    panels = [(points, marks) for points in by_bytes(boards) if (marks := _marks(points))]
    on_test_clips = [panel for panel in panels if panel[0][0].board.group.judged_on == "test"]
    return on_test_clips or panels


def _style() -> str:
    """Colours by what the reader's system prefers; the paper is drawn, so that letters stand out on any page."""
    light = ".paper{fill:#fff}text{fill:#5c646c}.ink{fill:#1d2125}.grid{stroke:#e6e3dd}.front{stroke:#1d2125}.halo{stroke:#fff}"
    dark = ".paper{fill:#161a1e}text{fill:#9aa3ab}.ink{fill:#e8e6e1}.grid{stroke:#31373d}.front{stroke:#e8e6e1}.halo{stroke:#161a1e}"
    return (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}.title{font-size:15px;font-weight:600}"
        ".front{fill:none;stroke-width:1.5;opacity:.6}.chance{stroke-dasharray:4 4}.bar{stroke-width:1.5;opacity:.35}"
        "path.hollow{fill:none;stroke-width:1.8}.halo{stroke-width:4;paint-order:stroke;stroke-linejoin:round}"
        f"{light}{_colours(_LIGHT)}@media(prefers-color-scheme:dark){{{dark}{_colours(_DARK)}}}"
    )


def _colours(palette: Sequence[str]) -> str:
    return "".join(f".c{number}{{fill:{colour};stroke:{colour}}}" for number, colour in enumerate(palette))


def _marks(points: Sequence[Point]) -> list[_Mark]:
    marks = []
    for point in points:
        figures = point.row.figures
        if figures is None or figures.accuracy is None or figures.stored is None or figures.stored.high < 1:
            continue
        interval = figures.accuracy
        setting = point.board.setting_label()
        dense = point.row.reference or setting == "dense"
        marks.append(
            _Mark(
                point.row.method,
                printable(point.row.label if dense else f"{point.row.label}, {setting}"),
                dense,
                figures.stored.high,
                interval.mean,
                interval.mean if interval.low is None else interval.low,
                interval.mean if interval.high is None else interval.high,
                bool(point.optimal),
            )
        )
    return marks


# ----------------------------------------------------------------------------------------------------------------------
# One plot


def _panel(points: Sequence[Point], marks: Sequence[_Mark], methods: Sequence[str], top: int) -> tuple[list[str], int]:
    """The elements of a plot whose upper edge is at ``top``, and its height."""
    scale = _scale(marks, top + _TOP)
    board, group = points[0].board, points[0].board.group
    title = " · ".join(part for part in (board.data, group.profile, group.protocol, group.network) if part)
    if group.judged_on != "test":
        title += f" · judged on {group.judged_on}"
    bottom = scale.top + _PLOT
    parts = [_text(24, top + 30, title, "ink title"), *_axes(scale, board.chance)]
    parts += [
        _line(
            scale.x(m.stored), scale.y(m.low), scale.x(m.stored), scale.y(m.high), f"bar {_colour(m.method, methods)}"
        )
        for m in marks
    ]
    front = sorted((mark for mark in marks if mark.optimal), key=lambda mark: mark.stored)
    if len(front) > 1:
        start = f"M{scale.x(front[0].stored):.1f},{scale.y(front[0].mean):.1f}"
        steps = "".join(f"H{scale.x(m.stored):.1f}V{scale.y(m.mean):.1f}" for m in front[1:])
        parts.append(f'<path class="front" d="{start}{steps}"/>')
    drawn_last = sorted(marks, key=lambda mark: mark.optimal)
    parts += [_shape(m.method, methods, scale.x(m.stored), scale.y(m.mean), m.dense, _tooltip(m)) for m in drawn_last]
    parts += _labels(front, marks, scale)
    legend, lines = _legend(
        [name for name in methods if any(m.method == name for m in marks)], methods, bottom + _BELOW
    )
    return [*parts, *legend], _TOP + _PLOT + _BELOW + lines * _LINE + 8


def _scale(marks: Sequence[_Mark], top: int) -> _Scale:
    logs = [math.log2(mark.stored) for mark in marks]
    first = math.floor(min(logs) - 0.4)
    last = max(math.ceil(max(logs) + 0.4), first + 4)
    highest = max(0.05, 1.04 * max(min(1.0, mark.high) for mark in marks))
    step = _step(highest)
    return _Scale(first, last, min(1.0, math.ceil(highest / step - 1e-9) * step), top)


def _step(most: float) -> float:
    return next((step for step in _STEPS if most / step <= 6), _STEPS[-1])


def _axes(scale: _Scale, chance: float | None) -> list[str]:
    bottom = scale.top + _PLOT
    parts = []
    step = _step(scale.most)
    for number in range(round(scale.most / step) + 1):
        y = scale.y(number * step)
        parts += [
            _line(_LEFT, y, _RIGHT, y, "grid"),
            _text(_LEFT - 8, y + 4, f"{100 * number * step:.0f}", anchor="end"),
        ]
    apart = max(1, math.ceil((scale.last - scale.first) / 9))
    for power in range(math.ceil(scale.first / apart) * apart, scale.last + 1, apart):
        x = scale.x(2.0**power)
        parts += [_line(x, scale.top, x, bottom, "grid"), _text(x, bottom + 18, _size(power), anchor="middle")]
    parts += [
        _text(24, scale.top - 10, "accuracy %"),
        _text((_LEFT + _RIGHT) / 2, bottom + 36, "bytes stored (logarithmic)", anchor="middle"),
    ]
    if chance is not None:
        y = scale.y(chance)
        parts += [_line(_LEFT, y, _RIGHT, y, "grid chance front"), _text(_RIGHT, y - 5, "chance", anchor="end")]
    return parts


def _labels(front: Sequence[_Mark], marks: Sequence[_Mark], scale: _Scale) -> list[str]:
    """Names beside the points of the front, each where it covers the least; the best first."""
    taken = [(scale.x(m.stored) - 5, scale.y(m.mean) - 5, scale.x(m.stored) + 5, scale.y(m.mean) + 5) for m in marks]
    parts = []
    for mark in sorted(front, key=lambda mark: -mark.mean):
        x, y, wide = scale.x(mark.stored), scale.y(mark.mean), 7.0 * len(mark.text)
        starts = [
            (x - wide - 10, y - 8),
            (x - wide / 2, y - 12),
            (x - wide - 12, y + 4),
            (x + 10, y + 18),
            (x - wide - 10, y + 20),
            (x - wide / 2, y - 30),
        ]
        boxes = [(left, base - 12, left + wide, base + 3) for left, base in starts]
        allowed = [box for box in boxes if box[0] > _LEFT and box[2] < _RIGHT and box[1] > scale.top] or boxes
        best = min(allowed, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(best)
        parts.append(_text(best[0], best[3] - 3, mark.text, "ink halo"))
    return parts


_Box = tuple[float, float, float, float]


def _overlap(a: _Box, b: _Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _legend(names: Sequence[str], methods: Sequence[str], top: int) -> tuple[list[str], int]:
    """Methods with their marks in as many lines as they take, and how many these are."""
    parts, x, line = [], float(_LEFT), 0
    hollow = ("", "hollow: fewer stored frames, or another temporal setting")
    for name, text in [*((name, name) for name in names), hollow]:
        wide = 34 + 7.2 * len(text)
        if x + wide > _RIGHT and x > _LEFT:
            x, line = float(_LEFT), line + 1
        y = top + _LINE * line + 8
        parts += [_shape(name, methods, x + 6, y, True, "")] if name else []
        parts.append(_text(x + (18 if name else 0), y + 4, text))
        x += wide
    return parts, line + 1


def _tooltip(mark: _Mark) -> str:
    half = f" ± {50 * (mark.high - mark.low):.1f}" if mark.high > mark.low else ""
    return f"{mark.text}: {100 * mark.mean:.1f}{half} %, {mark.stored:,} bytes"


def _size(power: int) -> str:
    for unit, least in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if power >= least:
            return f"{2 ** (power - least)} {unit}"
    return f"{2.0**power:g} B"


# ----------------------------------------------------------------------------------------------------------------------
# Elements


def _colour(method: str, methods: Sequence[str]) -> str:
    return f"c{methods.index(method) % len(_LIGHT)}"


def _shape(method: str, methods: Sequence[str], x: float, y: float, filled: bool, tooltip: str) -> str:
    kind = _colour(method, methods) + ("" if filled else " hollow")
    outline = _SHAPES[methods.index(method) % len(_SHAPES)]
    title = f"<title>{escape(tooltip)}</title>" if tooltip else ""
    return f'<path class="{kind}" transform="translate({x:.1f},{y:.1f})" d="{outline}">{title}</path>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}{where}>{escape(text)}</text>'
