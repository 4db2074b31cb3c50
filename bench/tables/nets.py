"""The same sets judged by several networks: methods down, networks across, bytes beside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from bench.core.files import canonical_json
from bench.tables import stats
from bench.tables.columns import Line
from bench.tables.layout import Layout, Options, every_line, explained
from bench.tables.notation import mebibytes, percent, trainings
from bench.tables.rows import Group, Leaderboard, Row
from bench.tables.states import State
from bench.tables.stats import Estimator, Interval, Trainings
from bench.tables.text_table import TextTable, marked, numbered

LEGEND = (
    "Accuracy in % of networks trained on the same sets; in brackets the difference in points to the network that they were "
    "distilled with, paired by distillation seed. MiB: bytes stored / 2^20."
)
NOTHING = "no set was judged by two networks; run some with --nets"


@final
@dataclass(frozen=True)
class Judged:
    """A row under one network.

    Attributes:
        row: the leaderboard's row.
        difference: its accuracy minus that under the network that distilled, paired by distillation seed (the networks have
            nothing in common but their numbers); None under that one, or where a training of either is missing.
    """

    row: Row
    difference: Interval | None


@final
@dataclass(frozen=True)
class NetsRow:
    """One method in one configuration, by network; a network without a record of it is missing."""

    label: str
    judged: Mapping[str, Judged]


@final
@dataclass(frozen=True)
class NetsTable:
    """Leaderboards that differ in the network alone.

    Attributes:
        boards: one for each network, that of the network that distilled first.
        rows: in the order of the first leaderboard, then of the others.
    """

    boards: tuple[Leaderboard, ...]
    rows: tuple[NetsRow, ...]

    def networks(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(board.group.network for board in self.boards)


def nets_tables(boards: Iterable[Leaderboard], estimator: Estimator = stats.interval) -> list[NetsTable]:
    """A table wherever at least two networks judged sets of the same data, budget and setting, in the order given.

    Args:
        boards: the leaderboards.
        estimator: makes the intervals.
    """
    together: defaultdict[tuple[Group, str, str], list[Leaderboard]] = defaultdict(list)
    for board in boards:
        together[replace(board.group, network=""), board.amount(), board.setting].append(board)
    return [_of_boards(members, estimator) for members in together.values() if len(members) > 1]


def _of_boards(boards: Sequence[Leaderboard], estimator: Estimator) -> NetsTable:
    first = boards[0].group
    by_method: defaultdict[tuple[str, str, State], dict[str, Row]] = defaultdict(dict)
    for board in boards:
        for row in board.rows:
            if row.config is not None and row.state is not None:
                by_method[row.method, canonical_json(dict(row.config)), row.state][board.group.network] = row
    rows = []
    for by_network in by_method.values():
        own = None if first.crosses() else by_network.get(first.network)
        judged = {
            network: Judged(row, None if own is None or row is own else _difference(row, own, estimator))
            for network, row in by_network.items()
        }
        rows.append(NetsRow(next(iter(by_network.values())).label, judged))
    return NetsTable(tuple(boards), tuple(rows))


def _difference(row: Row, other: Row, estimator: Estimator) -> Interval | None:
    if not (_complete(row) and _complete(other)):
        return None
    paired = stats.differences(_by_seed(row), _by_seed(other))
    return None if paired is None else estimator(paired)


def _complete(row: Row) -> bool:
    return row.figures is not None and row.figures.complete


def _by_seed(row: Row) -> Trainings:
    """The mean accuracy of all networks of each distillation seed, as if it were that of one network."""
    means = {}
    for record in row.cells:
        accuracies = [evaluation.accuracy() for evaluation in record.evaluations]
        means[record.cell.seed] = {0: sum(accuracies) / len(accuracies)}
    return means


# ----------------------------------------------------------------------------------------------------------------------
# The table


def _table(table: NetsTable) -> TextTable:
    board, networks = table.boards[0], table.networks()
    group = board.group
    every = [judged.row for row in table.rows for judged in row.judged.values()]
    numbers = numbered(note for row in every for note in row.footnotes("accuracy", "unfit"))
    sizes = sorted({trainings(row.figures) for row in every if row.figures is not None})
    remarks = [f"distilled with {group.distilled_with}; every network is trained from scratch by the same recipe"]
    remarks += [f"distillation seeds × networks trained on each set: {', '.join(sizes)}"] if sizes else []
    remarks += [remark for remark in board.remarks if remark.startswith("chance ")]
    title = [board.data, board.amount(), board.setting_label(), group.profile, group.protocol]
    title += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    return TextTable(
        title=" · ".join(["across networks", *title]),
        headers=("method", "MiB", *networks),
        rows=tuple(
            (row.label, _stored(row), *(_cell(row.judged.get(network), numbers) for network in networks))
            for row in table.rows
        ),
        footnotes=tuple(numbers),
        remarks=tuple(remarks),
    )


def _stored(row: NetsRow) -> str:
    figures = [judged.row.figures for judged in row.judged.values() if judged.row.figures is not None]
    return mebibytes(figures[0].stored) if figures else ""


def _cell(judged: Judged | None, numbers: dict[str, int]) -> str:
    if judged is None:
        return ""
    row = judged.row
    text = row.status if row.figures is None else percent(row.figures.accuracy)
    text += f" ({percent(judged.difference, signed=True)})" if judged.difference is not None else ""
    return marked(text, row.footnotes("accuracy", "unfit"), numbers)


def _lines(boards: Sequence[Leaderboard], options: Options) -> list[Line]:
    return [line for table in nets_tables(boards) for line in every_line(table.boards, options)]


LAYOUT = Layout(
    name="nets",
    help="IPC and setting, networks across",
    heading="Across networks",
    tables=lambda boards, options: list(map(_table, nets_tables(boards, options.estimator))),
    legend=explained(LEGEND),
    lines=_lines,
    nothing=NOTHING,
    file="nets",
    worth_a_file=lambda boards: any(board.group.crosses() for board in boards),
)
