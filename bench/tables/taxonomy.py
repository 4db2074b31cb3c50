"""The temporal taxonomy of one method: what each setting stores, scores and gains from time, over datasets and budgets.

In the shape of the founding paper's study: settings down, datasets across.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from bench.core.errors import BenchError
from bench.core.temporal import parse
from bench.tables import stats
from bench.tables.columns import Line, column, plain_accuracy
from bench.tables.layout import Layout, explained
from bench.tables.rows import Leaderboard, setting_label
from bench.tables.stats import Estimator
from bench.tables.text_table import TextTable, marked, numbered

LEGEND = (
    "n: frames stored of each clip; r: distinct frames of each real clip that matching sees; K: segments; I: interpolation. "
    "Temporal gain: accuracy minus that of the same networks trained on the set with its time frozen and tested on frozen "
    "clips, in points, paired by seed and network. MiB: bytes stored / 2^20."
)
NOTHING = "no method has records in two temporal settings; run some with --settings taxonomy"

_Where = tuple[str, str]
"""Dataset, and IPC or bytes."""


@final
@dataclass(frozen=True)
class TaxonomyTable:
    """One method in at least two settings.

    Attributes:
        method: label of its rows.
        context: what all columns have in common: profile, protocol, network, and ``judged on`` if not the test clips.
        frames: T.
        settings: written out, in the order of the leaderboards.
        columns: dataset and IPC or bytes, in the order of the leaderboards.
        lines: by setting and column; missing where there is no such row.
    """

    method: str
    context: tuple[str, ...]
    frames: int
    settings: tuple[str, ...]
    columns: tuple[_Where, ...]
    lines: dict[tuple[str, _Where], Line]


def has_taxonomy(boards: Iterable[Leaderboard]) -> bool:
    """Whether `taxonomy_tables` has any table."""
    settings: defaultdict[tuple[object, ...], set[str]] = defaultdict(set)
    for board in boards:
        for row in board.rows:
            if not row.reference:
                settings[(row.label, *board.group.context(), board.group.frames())].add(board.setting)
    return any(len(of_method) > 1 for of_method in settings.values())


def taxonomy_tables(boards: Iterable[Leaderboard], estimator: Estimator = stats.interval) -> list[TaxonomyTable]:
    """A table for each method that stands in at least two settings of what can be compared, by name.

    Args:
        boards: the leaderboards.
        estimator: makes the intervals.
    """
    by_method: defaultdict[tuple[str, tuple[str, ...], int], list[Line]] = defaultdict(list)
    for board in boards:
        for row in board.rows:
            if not row.reference:
                context = tuple(board.group.context())
                by_method[row.label, context, board.group.frames()].append(Line(board, row, estimator))
    return [
        _of_method(label, context, frames, lines)
        for (label, context, frames), lines in sorted(by_method.items(), key=lambda item: item[0])
        if len({line.board.setting for line in lines}) > 1
    ]


def _of_method(label: str, context: tuple[str, ...], frames: int, lines: Sequence[Line]) -> TaxonomyTable:
    settings = tuple(dict.fromkeys(line.board.setting for line in lines))
    columns = tuple(dict.fromkeys(map(_where, lines)))
    return TaxonomyTable(
        label, context, frames, settings, columns, {(line.board.setting, _where(line)): line for line in lines}
    )


def _where(line: Line) -> _Where:
    return line.board.data, line.board.amount()


# ----------------------------------------------------------------------------------------------------------------------
# The table


def _table(table: TaxonomyTable) -> TextTable:
    numbers = numbered(note for line in table.lines.values() for note in line.row.footnotes("accuracy"))
    several = len({dataset for dataset, _ in table.columns}) > 1
    stored, gain = column("stored"), column("temporal_gain")
    headers: list[str] = ["setting", "n", "r", "K", "I"]
    for dataset, amount in table.columns:
        place = f"{dataset} {amount}" if several else amount
        headers += [f"{place}: {column('accuracy').header}", stored.header, gain.header]
    rows = []
    for setting in table.settings:
        cells = [setting_label(setting, table.frames), *_factors(setting, table.frames)]
        for where in table.columns:
            line = table.lines.get((setting, where))
            if line is None:
                cells += ["", "", ""]
            else:
                accuracy = marked(plain_accuracy(line), line.row.footnotes("accuracy"), numbers)
                cells += [accuracy, stored.text(line), gain.text(line)]
        rows.append(tuple(cells))
    dataset = "" if several else f" · {table.columns[0][0]}"
    return TextTable(
        title=f"temporal taxonomy · {table.method}{dataset} · {' · '.join(table.context)}",
        headers=tuple(headers),
        rows=tuple(rows),
        footnotes=tuple(numbers),
    )


def _factors(setting: str, frames: int) -> list[str]:
    """n, r, K and I of a setting; empty where it cannot be read."""
    try:
        factors = parse(setting, frames)
    except BenchError:
        return [""] * 4
    return [str(factors.n_syn), str(factors.n_real), str(factors.segments), factors.interpolation]


LAYOUT = Layout(
    name="taxonomy",
    help="method, one line a setting",
    heading="Temporal taxonomy",
    tables=lambda boards, options: list(map(_table, taxonomy_tables(boards, options.estimator))),
    legend=explained(LEGEND),
    nothing=NOTHING,
    file="taxonomy",
    worth_a_file=has_taxonomy,
)
