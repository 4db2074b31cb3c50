"""The temporal taxonomy of one method: what each setting stores, scores and gains from time, over datasets and budgets. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.tables import stats
from bench.tables.rows import Leaderboard
from bench.tables.stats import Estimator
from bench.tables.temporal import TemporalRow, temporal_row


@dataclass(frozen=True)
class TaxonomyTable:
    """One method in at least two settings.

    Attributes:
        method: label of its rows.
        context: what all columns have in common: profile, protocol, network, and ``judged on`` if not the test clips.
        frames: T.
        settings: written out, in the order of the leaderboards.
        columns: dataset and IPC or bytes, in the order of the leaderboards.
        rows: by setting and column; missing where there is no such row.
    """

    method: str
    context: tuple[str, ...]
    frames: int
    settings: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: dict[tuple[str, tuple[str, str]], TemporalRow]


def has_taxonomy(boards: Iterable[Leaderboard]) -> bool:
    """Whether `taxonomy_tables` has any table."""
    settings: defaultdict[tuple[object, ...], set[str]] = defaultdict(set)
    for board in boards:
        for row in board.rows:
            if not row.reference:
                settings[row.label, _context(board), board.group.frames()].add(board.setting)
    return any(len(found) > 1 for found in settings.values())


def taxonomy_tables(boards: Iterable[Leaderboard], estimator: Estimator = stats.interval) -> list[TaxonomyTable]:
    """A table for each method that stands in at least two settings of what can be compared, by name.

    Args:
        boards: the leaderboards.
        estimator: makes the intervals.
    """
    found: defaultdict[tuple[str, tuple[str, ...], int], list[tuple[Leaderboard, TemporalRow]]] = defaultdict(list)
    for board in boards:
        for row in board.rows:
            if not row.reference:
                place = row.label, _context(board), board.group.frames()
                found[place].append((board, temporal_row(row, estimator)))
    return [
        _table(label, context, frames, members)
        for (label, context, frames), members in sorted(found.items(), key=lambda item: item[0])
        if len({board.setting for board, _ in members}) > 1
    ]


def _context(board: Leaderboard) -> tuple[str, ...]:
    group = board.group
    judged = () if group.judged_on == "test" else (f"judged on {group.judged_on}",)
    return (group.profile, group.protocol, group.judge(), *judged)


def _table(
    label: str, context: tuple[str, ...], frames: int, members: Sequence[tuple[Leaderboard, TemporalRow]]
) -> TaxonomyTable:
    settings = tuple(dict.fromkeys(board.setting for board, _ in members))
    columns = tuple(dict.fromkeys((board.group.dataset, board.amount()) for board, _ in members))
    rows = {(board.setting, (board.group.dataset, board.amount())): row for board, row in members}
    return TaxonomyTable(label, context, frames, settings, columns, rows)
