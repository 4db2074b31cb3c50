"""The same sets judged by several networks: the rows of leaderboards that differ in the network alone, side by side. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.store.records import canonical_json
from bench.tables import stats
from bench.tables.rows import Group, Leaderboard, Row
from bench.tables.stats import Estimator, Interval, Trainings


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


@dataclass(frozen=True)
class NetsRow:
    """One method in one configuration, by network; a network without a record of it is missing."""

    label: str
    judged: Mapping[str, Judged]


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
    return [_table(members, estimator) for members in together.values() if len(members) > 1]


def _table(boards: Sequence[Leaderboard], estimator: Estimator) -> NetsTable:
    first = boards[0].group
    found: defaultdict[tuple[str, str, str], dict[str, Row]] = defaultdict(dict)
    for board in boards:
        for row in board.rows:
            if row.config is not None and row.source is not None:
                found[row.method, canonical_json(dict(row.config)), row.source][board.group.network] = row
    rows = []
    for by_network in found.values():
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
