"""Mean ranks of methods over datasets: which leaderboards they are taken over, and the table of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from bench.tables.critical import ENOUGH_DATASETS, MeanRanks, mean_ranks
from bench.tables.rows import Leaderboard
from bench.tables.text_table import TextTable


@final
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


def over_datasets(boards: Iterable[Leaderboard]) -> list[OverDatasets]:
    """Mean ranks wherever at least two datasets have at least three complete rows in common."""
    comparable: defaultdict[tuple[object, ...], list[Leaderboard]] = defaultdict(list)
    for board in boards:
        group = board.group
        shared = (group.profile, group.judge(), group.protocol, group.judged_on, board.amount())
        comparable[(*shared, board.setting_label())].append(board)
    ranked = []
    for members in comparable.values():
        times = Counter(board.group.dataset for board in members)
        single = [board for board in members if times[board.group.dataset] == 1]
        scores = {board.group.dataset: _scores(board) for board in single}
        shared_methods = set.intersection(*map(set, scores.values())) if scores else set()
        if len(scores) < 2 or len(shared_methods) < 3:
            continue
        of_shared = {
            dataset: {method: score for method, score in by_method.items() if method in shared_methods}
            for dataset, by_method in scores.items()
        }
        every = {row.label for board in single for row in board.rows if not row.reference}
        ambiguous = tuple(sorted(dataset for dataset, count in times.items() if count > 1))
        ranked.append(OverDatasets(single[0], mean_ranks(of_shared), tuple(sorted(every - shared_methods)), ambiguous))
    return ranked


def _scores(board: Leaderboard) -> dict[str, float]:
    return {
        row.label: row.figures.accuracy.mean
        for row in board.rows
        if row.figures is not None and row.figures.accuracy is not None and not row.reference
    }


def ranks_table(over: OverDatasets) -> TextTable:
    """The methods by mean rank, with a letter for each group that cannot be told apart, and the tests as remarks."""
    board, ranks = over.board, over.ranks
    groups = ranks.groups()
    letters = {name: "".join(chr(97 + k) for k, names in enumerate(groups) if name in names) for name in ranks.ranks}
    verdict = "differ" if ranks.significant else "cannot be told apart"
    remarks = [
        f"datasets: {', '.join(ranks.datasets)}",
        f"Friedman's test: chi-squared {ranks.statistic:.2f}, p = {ranks.p:.2g}: the methods {verdict}",
        f"Nemenyi's critical difference: {ranks.difference:.2f}; methods that share a letter are not significantly different",
    ]
    if len(ranks.datasets) < ENOUGH_DATASETS:
        remarks.append(f"with fewer than {ENOUGH_DATASETS} datasets these tests seldom find a difference")
    remarks += [f"not complete on every dataset: {', '.join(over.left_out)}"] if over.left_out else []
    remarks += [f"left out, in several versions: {', '.join(over.ambiguous)}"] if over.ambiguous else []
    group = board.group
    title = [f"mean ranks over {len(ranks.datasets)} datasets", board.amount(), board.setting_label()]
    return TextTable(
        title=" · ".join([*title, group.profile, group.protocol, group.judge()]),
        headers=("method", "mean rank", "group"),
        rows=tuple((name, f"{rank:.2f}", letters[name]) for name, rank in ranks.ranks.items()),
        remarks=tuple(remarks),
    )
