"""The rows of leaderboards seen in other ways: by bytes, by temporal setting, over datasets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.tables.critical import MeanRanks, mean_ranks
from bench.tables.rows import Group, Leaderboard, Row, setting_label


@dataclass(frozen=True)
class Point:
    """A row and where it stands.

    Attributes:
        board: its leaderboard; of a row without budget the first of its group.
        row: the row.
        optimal: whether no other row of its group is at least as accurate for fewer bytes, or more accurate for as many;
            None where accuracy or bytes are missing.
    """

    board: Leaderboard
    row: Row
    optimal: bool | None


@dataclass(frozen=True)
class BySetting:
    """The accuracies of one group at one budget.

    Attributes:
        boards: one for each temporal setting, in their order.
        methods: labels of the rows that depend on the budget, as the first leaderboard that has them orders them.
        references: rows without budget.
    """

    boards: tuple[Leaderboard, ...]
    methods: tuple[str, ...]
    references: tuple[Row, ...]


@dataclass(frozen=True)
class OverDatasets:
    """Mean ranks of the methods that are complete on every dataset.

    Attributes:
        board: one of the leaderboards; all have its IPC, setting, profile, protocol and network.
        ranks: see `MeanRanks`.
        left_out: labels of rows that are not complete on every dataset.
        ambiguous: datasets that occur in several versions, and so are left out.
    """

    board: Leaderboard
    ranks: MeanRanks
    left_out: tuple[str, ...]
    ambiguous: tuple[str, ...]


def by_bytes(boards: Iterable[Leaderboard]) -> list[tuple[Point, ...]]:
    """For each group all its rows with figures: fewest bytes first, then the most accurate; rows without bytes last."""
    return [
        tuple(sorted(_points(members), key=_point_order))
        for members in _grouped(boards).values()
        if any(row.figures is not None for board in members for row in board.rows)
    ]


def clips_a_class(board: Leaderboard, row: Row) -> str:
    """Clips a class: as asked for or, with a budget in bytes, as they fit."""
    if board.budget is None:
        return str(board.ipc)
    counts = [
        -(-record.set.clips // max(1, record.data.get("classes", 1))) for record in row.cells if record.set is not None
    ]
    return f"{min(counts)}–{max(counts)}" if len(set(counts)) > 1 else "".join(map(str, counts[:1]))


def by_setting(boards: Iterable[Leaderboard]) -> list[BySetting]:
    """For each group and IPC the leaderboards of all its settings."""
    found: defaultdict[tuple[Group, str], list[Leaderboard]] = defaultdict(list)
    for board in boards:
        found[board.group, board.amount()].append(board)
    return [
        BySetting(
            tuple(members),
            tuple(dict.fromkeys(row.label for board in members for row in board.rows if not row.reference)),
            tuple(row for row in members[0].rows if row.reference),
        )
        for members in found.values()
    ]


def over_datasets(boards: Iterable[Leaderboard]) -> list[OverDatasets]:
    """Mean ranks wherever at least two datasets have at least three complete rows in common."""
    comparable: defaultdict[tuple[object, ...], list[Leaderboard]] = defaultdict(list)
    for board in boards:
        group = board.group
        shared = (group.profile, group.judge(), group.protocol, group.judged_on, board.amount())
        comparable[(*shared, setting_label(board.setting, group.frames()))].append(board)
    found = []
    for members in comparable.values():
        times = Counter(board.group.dataset for board in members)
        single = [board for board in members if times[board.group.dataset] == 1]
        scores = {board.group.dataset: _scores(board) for board in single}
        shared_methods = set.intersection(*map(set, scores.values())) if scores else set()
        if len(scores) < 2 or len(shared_methods) < 3:
            continue
        kept = {name: {m: score for m, score in s.items() if m in shared_methods} for name, s in scores.items()}
        every = {row.label for board in single for row in board.rows if not row.reference}
        ambiguous = tuple(sorted(name for name, count in times.items() if count > 1))
        found.append(OverDatasets(single[0], mean_ranks(kept), tuple(sorted(every - shared_methods)), ambiguous))
    return found


def pareto(points: Sequence[tuple[int, float]]) -> list[bool]:
    """For each (bytes, accuracy) whether no other has fewer bytes and is at least as accurate, or as many and is more so."""
    best_below: dict[int, float] = {}
    best: dict[int, float] = {}
    for stored, accuracy in points:
        best[stored] = max(best.get(stored, accuracy), accuracy)
    so_far = float("-inf")
    for stored in sorted(best):
        best_below[stored] = so_far
        so_far = max(so_far, best[stored])
    return [accuracy == best[stored] and accuracy > best_below[stored] for stored, accuracy in points]


def _grouped(boards: Iterable[Leaderboard]) -> Mapping[Group, list[Leaderboard]]:
    groups: defaultdict[Group, list[Leaderboard]] = defaultdict(list)
    for board in boards:
        groups[board.group].append(board)
    return groups


def _points(boards: Sequence[Leaderboard]) -> list[Point]:
    places: dict[tuple[object, ...], tuple[Leaderboard, Row]] = {}
    for board in boards:
        for row in board.rows:
            if row.figures is not None:
                budget = () if row.reference else (board.setting, board.ipc, board.budget)
                places.setdefault((row.method, row.label, row.source, budget), (board, row))
    known = {
        key: (row.figures.stored.high, row.figures.accuracy.mean)
        for key, (_, row) in places.items()
        if row.figures is not None and row.figures.stored is not None and row.figures.accuracy is not None
    }
    optimal = dict(zip(known, pareto(list(known.values())), strict=True))
    return [Point(board, row, optimal.get(key)) for key, (board, row) in places.items()]


def _point_order(point: Point) -> tuple[object, ...]:
    figures = point.row.figures
    stored = figures.stored if figures is not None else None
    accuracy = figures.accuracy if figures is not None else None
    return (
        stored is None,
        0 if stored is None else stored.high,
        accuracy is None,
        0.0 if accuracy is None else -accuracy.mean,
        point.row.label,
        point.board.setting,
        point.board.budget or 0,
        point.board.ipc or 0,
    )


def _scores(board: Leaderboard) -> dict[str, float]:
    return {
        row.label: row.figures.accuracy.mean
        for row in board.rows
        if row.figures is not None and row.figures.accuracy is not None and not row.reference
    }
