"""Which version of a method and which source of a plugin a table shows, and what it says of the others."""

from __future__ import annotations

import dataclasses

from bench.tables.leaderboard import leaderboards


def of_the_suite(record, version=1, source="", ended=""):
    """The record as one of a method of the suite."""
    provenance = {"source": source, "ended": ended}
    return dataclasses.replace(
        record, cell=dataclasses.replace(record.cell, version=version, plugins={}), provenance=provenance
    )


def ended(record, time):
    return dataclasses.replace(record, provenance={"ended": time})


def shown(board):
    return {row.label: row.figures.accuracy.mean for row in board.rows}


def test_the_source_of_a_plugin_that_ran_last_is_shown(make_record):
    records = [
        ended(make_record("mine", [30], source="b" * 64), "2026-01-02"),
        ended(make_record("mine", [40], source="a" * 64), "2026-01-03"),
    ]
    (board,) = leaderboards(records)
    assert shown(board) == {"mine": 0.4}
    assert "mine: 1 cell of another version or source left out (table --all-versions shows all)" in board.remarks
    (every,) = leaderboards(records, all_versions=True)
    assert shown(every) == {"mine [source=aaaaaaa]": 0.4, "mine [source=bbbbbbb]": 0.3}


def test_a_setting_that_was_only_tried_with_an_earlier_source_goes_with_it(make_record):
    old = [make_record("mine", [30], source="b" * 64, config={"rate": rate}) for rate in (1.0, 2.0)]
    new = ended(make_record("mine", [40], source="a" * 64, config={"rate": 1.0}), "2026-01-03")
    (board,) = leaderboards([*old, new])
    assert shown(board) == {"mine": 0.4}


def test_the_highest_version_is_shown_whenever_it_ran(make_record):
    old = of_the_suite(make_record("dm", [30]), version=1, ended="2026-02-01")
    new = of_the_suite(make_record("dm", [40]), version=2, ended="2026-01-01")
    (board,) = leaderboards([old, new])
    assert shown(board) == {"dm": 0.4}
    (every,) = leaderboards([old, new], all_versions=True)
    assert shown(every) == {"dm [version=1]": 0.3, "dm [version=2]": 0.4}


def test_a_version_without_a_finished_cell_does_not_hide_one_that_has_some(make_record):
    old = of_the_suite(make_record("dm", [30]), version=1)
    new = of_the_suite(make_record("dm", status="failed", reason="typo"), version=2)
    (board,) = leaderboards([old, new])
    assert shown(board) == {"dm": 0.3}


def test_records_of_one_version_from_two_states_of_its_source_are_one_row_and_said(make_record):
    records = [of_the_suite(make_record("dm", [30 + n], seed=n), source="abc"[n % 2] * 64) for n in range(3)]
    (board,) = leaderboards(records)
    assert [row.label for row in board.rows] == ["dm"]
    assert "dm: version 1 was run from 2 states of its source: aaaaaaa (2 cells), bbbbbbb (1 cell)" in board.remarks
    (same,) = leaderboards(records[::2])
    assert not any("states of its source" in remark for remark in same.remarks)


def test_rows_that_networks_of_two_sources_judged_are_called_out(make_record):
    plugins = [{"evaluation_network": letter * 64} for letter in "ab"]
    (board,) = leaderboards(
        [make_record("dm", [30], plugins=plugins[0]), make_record("random", [40], plugins=plugins[1])]
    )
    assert (
        "CAUTION: the rows do not agree on the source of a plugin's network or protocol: "
        "dm (evaluation_network aaaaaaa) against random (evaluation_network bbbbbbb)"
    ) in board.remarks
