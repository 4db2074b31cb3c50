"""Temporal settings of a budget in one table."""

from __future__ import annotations

from bench.tables.by_setting import by_setting
from bench.tables.leaderboard import leaderboards

KEYFRAMES = "n4-r8-k1-linear"


def test_settings_of_a_budget_stand_in_one_table(make_record):
    records = [make_record("dm", [30], ipc=ipc, setting=s) for ipc in (1, 5) for s in ("n8-r8-k1-nearest", KEYFRAMES)]
    records += [make_record("random", [40]), make_record("full", [80], ipc=None, seed=None)]
    tables = by_setting(leaderboards(records))
    assert [(t.boards[0].ipc, [b.setting for b in t.boards]) for t in tables] == [
        (1, ["n8-r8-k1-nearest", KEYFRAMES]),
        (5, ["n8-r8-k1-nearest", KEYFRAMES]),
    ]
    assert tables[0].methods == ("random", "dm")
    assert [row.label for row in tables[0].references] == ["full"]
