"""Leaderboards for programs: the figures as they are, one flat table as CSV, or JSON with the tests behind the ranks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.tables import columns
from bench.tables.columns import Line
from bench.tables.mean_ranks import OverDatasets
from bench.tables.rows import Leaderboard


def as_csv(lines: Iterable[Line]) -> str:
    """One line a row: fractions, seconds and bytes, to twelve digits (the last ones depend on the machine); empty where there is none."""
    text = io.StringIO()
    rows = _rows(lines)
    writer = csv.DictWriter(text, _names(rows), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _flat(name, value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_json(lines: Iterable[Line], boards: Sequence[Leaderboard], over: Sequence[OverDatasets]) -> str:
    """`as_values` as text, an entry of its lists a line."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    lists = [
        f'"{name}": [' + ",".join(f"\n {encode(item)}" for item in items) + "\n]"
        for name, items in as_values(lines, boards, over).items()
    ]
    return "{" + ",\n".join(lists) + "}\n"


def as_values(
    lines: Iterable[Line], boards: Sequence[Leaderboard], over: Sequence[OverDatasets]
) -> dict[str, list[dict[str, Any]]]:
    """Lists of ``rows`` (the columns of the CSV), ``tests`` (every pair of each leaderboard) and ``mean_ranks``."""
    rows = _rows(lines)
    names = _names(rows)
    return {
        "rows": [{name: row[name] for name in names} for row in rows],
        "tests": [test for board in boards for test in _tests(board)],
        "mean_ranks": [_mean_ranks(each) for each in over],
    }


def _rows(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [columns.values_of(line) for line in lines]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What CSV and JSON have, without the optional columns that no row fills."""
    return [
        name
        for column in columns.COLUMNS
        if not column.optional or any(row[name] is not None for row in rows for name in column.values)
        for name in column.values
    ]


def _flat(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=name == "config", ensure_ascii=False)
    return "; ".join(value) if isinstance(value, list) else value


def _tests(board: Leaderboard) -> list[dict[str, Any]]:
    return [
        {
            "leaderboard": board.title,
            "first": board.rows[test.first].label,
            "second": board.rows[test.second].label,
            "difference": test.difference,
            "p": test.p,
            "p_holm": test.corrected,
            "significant": test.significant,
        }
        for test in board.tests
    ]


def _mean_ranks(over: OverDatasets) -> dict[str, Any]:
    board, ranks = over.board, over.ranks
    group = board.group
    return {
        "profile": group.profile,
        "network": group.network,
        **({"distilled_with": group.distilled_with} if group.crosses() else {}),
        "protocol": group.protocol,
        "judged_on": group.judged_on,
        "ipc": board.ipc,
        "budget": board.budget,
        "setting_label": board.setting_label(),
        "datasets": list(ranks.datasets),
        "mean_ranks": dict(ranks.ranks),
        "friedman_chi_squared": ranks.statistic,
        "friedman_p": ranks.p,
        "critical_difference": ranks.difference,
        "groups": [list(names) for names in ranks.groups()],
    }
