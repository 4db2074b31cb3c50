"""The same cells in two folders of results: what each counted, how far they are apart, and whether chance explains it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, final

from bench.api import Evaluation
from bench.results.records import Record, total
from bench.tables import stats, text_table
from bench.tables.processors import processors_of
from bench.tables.text_table import TextTable

ALPHA = 1 - stats.LEVEL

Verdict = Literal["equal", "within", "outside", "apart", "one network", "ended otherwise"]
"""How a cell in two folders compares.

``equal``: every network's confusion matrix is the same. ``within``: the interval of the difference holds zero. ``outside``: it
does not, which one cell in twenty does by chance. ``apart``: also after Holm's correction for the number of cells. ``one
network``: a difference without an interval. ``ended otherwise``: they ended differently, or have no network in common.
"""

EXPLAINED = (
    "Points: accuracy in the second folder minus that in the first, in percentage points, with its 95 % interval (Student's t, "
    "paired over networks with the same seeds; counts are whole, so no interval is taken for narrower than they allow). "
    "equal: every network classified alike. within: the interval holds zero. outside: it does not, as one in twenty does by chance. "
    "apart: nor does it after Holm's correction for all cells."
)


@final
@dataclass(frozen=True)
class Pair:
    """One cell in two folders.

    Attributes:
        cell, title: its id and its description.
        statuses: how it ended in each.
        networks: networks that both trained.
        tested: test clips of these networks, counted once for each.
        correct: of these, those classified correctly in each folder.
        points: mean accuracy of the second minus the first over these networks, in percentage points; None without figures.
        half_width: of its 95 % interval; None where there is one network, or all is equal.
        largest: the largest difference of one network, in points.
        p: that the means are equal, before any correction; None where there is no interval.
        seconds: what all phases took in each.
        processors: the kinds of processor that made each.
        verdict: see there.
    """

    cell: str
    title: str
    statuses: tuple[str, str]
    networks: int
    tested: int
    correct: tuple[int, int]
    points: float | None
    half_width: float | None
    largest: float | None
    p: float | None
    seconds: tuple[float, float]
    processors: tuple[tuple[str, ...], tuple[str, ...]]
    verdict: Verdict


@final
@dataclass(frozen=True)
class Comparison:
    """Two folders.

    Attributes:
        pairs: the cells that both have, the largest difference first.
        alone: how many cells only the first has, and only the second.
        shift: the mean difference over all cells with figures, with its interval over cells; None where there are fewer than three.
        shift_is_apart: whether it is not zero, after the same correction.
    """

    pairs: tuple[Pair, ...]
    alone: tuple[int, int]
    shift: stats.Interval | None
    shift_is_apart: bool

    def agrees(self) -> bool:
        """Whether chance explains all that differs."""
        return not self.shift_is_apart and not any(pair.verdict in ("apart", "ended otherwise") for pair in self.pairs)


def compare(one: Sequence[Record], other: Sequence[Record]) -> Comparison:
    """Compares two folders, cell by cell."""
    first, second = ({record.id: record for record in records} for records in (one, other))
    pairs = [_pair(record, second[cell_id]) for cell_id, record in first.items() if cell_id in second]
    means = [pair.points for pair in pairs if pair.points is not None]
    shift = stats.interval([[mean] for mean in means]) if len(means) >= stats.ENOUGH_SEEDS else None
    p_of_shift = None if shift is None else _p(shift.mean, shift.half_width, len(means))
    tested = [place for place, pair in enumerate(pairs) if pair.p is not None]
    p_values = [p for p in (*(pair.p for pair in pairs), p_of_shift) if p is not None]
    significant = [p < ALPHA for p in stats.holm(p_values)]
    apart = {place for place, is_apart in zip(tested, significant, strict=False) if is_apart}
    judged = [replace(pair, verdict="apart") if place in apart else pair for place, pair in enumerate(pairs)]
    judged.sort(
        key=lambda pair: (
            pair.verdict != "ended otherwise",
            -abs(pair.points or 0),
            pair.verdict == "equal",
            pair.title,
        )
    )
    alone = len(first) - len(pairs), len(second) - len(pairs)
    return Comparison(tuple(judged), alone, shift, p_of_shift is not None and significant[-1])


def _pair(one: Record, other: Record) -> Pair:
    first, second = map(_evaluations, (one, other))
    shared = sorted(first.keys() & second.keys())
    tested = sum(first[network].tested() for network in shared)
    points = [100 * (second[network].accuracy() - first[network].accuracy()) for network in shared]
    mean = math.fsum(points) / len(points) if points else None
    alike = bool(shared) and {k: e.confusion for k, e in first.items()} == {k: e.confusion for k, e in second.items()}
    half = None if alike else _half_width(points, tested)
    if not shared:
        same = one.status == other.status and not (first or second)
        verdict: Verdict = "equal" if same else "ended otherwise"
    elif alike:
        verdict = "equal"
    elif half is None or mean is None:
        verdict = "one network"
    else:
        verdict = "within" if abs(mean) <= half else "outside"
    return Pair(
        cell=one.id,
        title=one.title(),
        statuses=(one.status, other.status),
        networks=len(shared),
        tested=tested,
        correct=(sum(first[k].correct() for k in shared), sum(second[k].correct() for k in shared)),
        points=mean,
        half_width=half,
        largest=max(points, key=abs, default=None),
        p=None if mean is None else _p(mean, half, len(points)),
        seconds=(_seconds(one), _seconds(other)),
        processors=(processors_of(one), processors_of(other)),
        verdict=verdict,
    )


def _evaluations(record: Record) -> dict[int, Evaluation]:
    """By network; none of a cell that did not end well."""
    return {evaluation.network: evaluation for evaluation in record.evaluations if record.status == "ok"}


def _half_width(points: Sequence[float], tested: int) -> float | None:
    """Half the interval of a cell's mean difference, in points; None where there is one network.

    Two counts that are rounded to whole clips differ with a variance of a sixth of a clip: the differences of few networks may
    be the same by chance, which does not make their mean exact.
    """
    if len(points) < 2:
        return None
    half = stats.interval([points]).half_width
    clip = 100 * len(points) / max(1, tested)
    least = stats.t_quantile(stats.LEVEL, len(points) - 1) * clip / math.sqrt(6 * len(points))
    return max(half or 0.0, least)


def _p(mean: float, half_width: float | None, count: int) -> float | None:
    """The p-value of a mean being zero, from the 95 % interval over ``count`` values."""
    if half_width is None:
        return None
    if half_width == 0:
        return 0.0 if mean else 1.0
    return stats.t_tail(stats.t_quantile(stats.LEVEL, count - 1) * mean / half_width, count - 1)


def _seconds(record: Record) -> float:
    return total(list(record.costs.values())).wall_seconds


# ----------------------------------------------------------------------------------------------------------------------
# As text


def summary(comparison: Comparison) -> list[str]:
    """What the pairs come to, one sentence each."""
    pairs, counts = comparison.pairs, Counter(pair.verdict for pair in comparison.pairs)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    sentences = [f"{len(pairs)} cell{'s' * (len(pairs) > 1)} in both: {verdicts}"]
    largest = max((abs(pair.largest) for pair in pairs if pair.largest is not None), default=0.0)
    if largest:
        means = max(abs(pair.points) for pair in pairs if pair.points is not None)
        sentences.append(f"at most {largest:.1f} points for one network, {means:.1f} for the mean of a cell")
    if comparison.shift is not None and comparison.shift.half_width is not None:
        apart = "" if not comparison.shift_is_apart else ", which chance does not explain"
        sentences.append(
            f"over all cells the second folder is {comparison.shift.mean:+.2f} ± {comparison.shift.half_width:.2f} points off{apart}"
        )
    for which, count in zip(("first", "second"), comparison.alone, strict=True):
        sentences += [f"{count} cell{'s' * (count > 1)} only in the {which} folder"] if count else []
    for which, place in (("first", 0), ("second", 1)):
        kinds = Counter(", then ".join(pair.processors[place]) or "an unknown kind of processor" for pair in pairs)
        made = "; ".join(f"{kind} ({count})" for kind, count in kinds.most_common())
        sentences.append(f"the {which} folder's cells were made on: {made}")
    return sentences


def table(comparison: Comparison, names: tuple[str, str]) -> TextTable:
    """One line a cell, for people."""
    return TextTable(
        title=f"{names[0]} and {names[1]}",
        headers=("cell", "what", "correct, first", "second", "points", "one network", "verdict", "s, first", "second"),
        rows=tuple(_row(pair) for pair in comparison.pairs),
        names=2,
        remarks=tuple(summary(comparison)),
    )


def _row(pair: Pair) -> tuple[str, ...]:
    counts = [
        f"{count:,} of {pair.tested:,}" if pair.networks else status
        for count, status in zip(pair.correct, pair.statuses, strict=True)
    ]
    half = "" if pair.half_width is None else f" ± {pair.half_width:.1f}"
    points = "" if pair.points is None else f"{pair.points:+.1f}{half}"
    largest = "" if pair.largest is None else f"{pair.largest:+.1f}"
    return (
        pair.cell[:12],
        pair.title,
        *counts,
        points,
        largest,
        pair.verdict,
        *(f"{seconds:.1f}" for seconds in pair.seconds),
    )


def render(comparison: Comparison, names: tuple[str, str], fmt: str) -> str:
    """The comparison as text that ends in a line break; ``fmt`` is one of `bench.tables.formats.FORMATS`."""
    if fmt == "csv":
        return _csv([_values(pair) for pair in comparison.pairs])
    if fmt == "json":
        shift = None if comparison.shift is None else asdict(comparison.shift)
        body = {
            "cells": [_values(pair) for pair in comparison.pairs],
            "shift": shift,
            "only_in": list(comparison.alone),
        }
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write = {
        "terminal": text_table.terminal, "md": text_table.markdown, "latex": text_table.latex, "html": text_table.html,
    }[fmt]  # fmt: skip
    return write([table(comparison, names)], EXPLAINED)


def _values(pair: Pair) -> dict[str, Any]:
    """A pair as flat values, those of the folders apart."""
    flat: dict[str, Any] = {}
    for name, value in asdict(pair).items():
        if name == "processors":
            value = tuple(", then ".join(kinds) for kinds in value)
        flat |= {f"{name}_1": value[0], f"{name}_2": value[1]} if isinstance(value, tuple) else {name: value}
    return flat


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
