"""What the report shows: the figures of the tables, and the evidence behind them."""

from __future__ import annotations

import dataclasses

import pytest

from bench.report.content import MOST_POINTS, content, thinned
from bench.results.records import PhaseCost, Record
from bench.tables.leaderboard import leaderboards
from tests.tables.conftest import record


def rows_of(*records, **more):
    return content(records, **more)["rows"]


def test_figures_are_those_of_the_tables():
    made = [record("random", [60, 62]), record("dm", [70, 74], stored=3 << 20)]
    by_method = {row["method"]: row for row in rows_of(*made)}
    assert by_method["dm"]["accuracy"] == pytest.approx(0.72)
    assert by_method["dm"]["gain"] == pytest.approx(0.11)
    assert by_method["dm"]["storage_bytes_max"] == 3 << 20
    assert by_method["dm"]["factors"] == {"n": 8, "r": 8, "k": 1, "i": "nearest"}
    assert "gain" not in by_method["random"]


def test_the_full_data_stand_once_without_what_depends_on_a_budget():
    made = [record("full", [95], ipc=None, seed=None), *(record("random", [60 + i], ipc=i) for i in (1, 5))]
    full = [row for row in rows_of(*made) if row["method"] == "full"]
    assert len(full) == 1
    assert not {"ipc", "setting", "gain", "gain_low", "share_of_full", "rank"} & set(full[0])


def test_only_rows_on_the_front_are_marked():
    made = [
        record("a", [50], stored=100),
        record("b", [70], stored=200),
        record("c", [60], stored=300),
        record("d", [80], stored=300, ipc=5),
    ]
    assert {row["method"]: row["optimal"] for row in rows_of(*made) if row["status"] == "ok"} == {
        "a": True, "b": True, "c": False, "d": True,
    }  # fmt: skip


def test_confusions_are_summed_over_seeds_and_networks():
    (row,) = rows_of(record("dm", [70, 40], seed=0), record("dm", [100, 50], seed=1))
    # 50 clips a class; of network k the first correct[k] are right, the others taken for the next class.
    assert row["confusion"] == [[50 + 40 + 50 + 50, 10], [30 + 50 + 0 + 50, 20 + 0 + 50 + 0]]


def test_curves_are_one_a_seed_and_leave_out_what_diverged():
    with_loss = dataclasses.replace(record("dm", [70]), history={"step": [1, 2, 3], "loss": [5.0, None, 3.0]})
    short = dataclasses.replace(record("dm", [70], seed=1), history={"step": [1], "loss": [5.0]})
    (row,) = rows_of(with_loss, short)
    assert row["curves"] == [{"seed": 0, "step": [1, 3], "loss": [5.0, 3.0]}]


def test_seconds_are_means_over_the_seeds():
    costs = [{"distil": PhaseCost(seconds, 0.0, 0, 0)} for seconds in (10.0, 20.0)]
    (row,) = rows_of(*(record("dm", [70], seed=seed, costs=cost) for seed, cost in enumerate(costs)))
    assert row["seconds"] == {"distil": 15.0}


def test_failures_and_clips_left_out_are_named_with_their_reasons():
    left = {"left_out": [["a.mp4", "no frames"]], "classes": 2}
    made = content([record("dm", status="oom", reason="out of memory"), record("random", [60], data=left)])
    assert [(entry["method"], entry["status"], entry["reason"]) for entry in made["failures"]] == [
        ("dm", "oom", "out of memory")
    ]
    assert made["groups"][0]["left_out"] == [{"key": "a.mp4", "reason": "no frames"}]


@pytest.mark.parametrize(("names", "shown"), [(["x", "y"], ["x", "y"]), (["x"], ["class 0", "class 1"])])
def test_class_names_are_those_of_a_manifest_that_fits(names, shown):
    assert content([record("dm", [70])], names={"f" * 64: names})["groups"][0]["classes"] == shown


def test_class_names_of_a_record_go_before_those_of_a_manifest():
    made = content([record("dm", [70], data={"class_names": ["x", "y"]})], names={"f" * 64: ["a", "b"]})
    assert made["groups"][0]["classes"] == ["x", "y"]


def test_comparisons_are_the_tests_of_the_tables():
    made = [
        record(name, [right + s, right + slope * s], seed=s)
        for name, right, slope in (("a", 40, 1), ("b", 80, 1), ("c", 42, -1))
        for s in range(3)
    ]
    (found,) = content(made)["comparisons"]
    assert [row["label"] for row in found["rows"]] == ["b", "c", "a"]
    (board,) = leaderboards(made)
    expected = {(t.first, t.second): (t.difference, t.p, t.corrected) for t in board.tests}
    assert {(first, second): pytest.approx(values, rel=1e-3) for first, second, *values in found["tests"]} == expected
    assert sum(corrected < 0.05 for *_, corrected in found["tests"]) == 2
    assert content([record("a", [40]), record("b", [80])])["comparisons"] == []


def test_mean_ranks_are_those_of_the_tables():
    made = [
        record(name, [right], dataset=data, fingerprint=data)
        for name, right in (("a", 40), ("b", 80), ("c", 42))
        for data in "xy"
    ]
    (ranks,) = content(made)["mean_ranks"]
    assert ranks["mean_ranks"] == {"b": 1, "c": 2, "a": 3}
    assert ranks["datasets"] == ["x", "y"]


def test_budgets_in_bytes_and_in_clips_are_amounts_of_their_own():
    made = [record("dm", [70], ipc=20), record("dm", [60], ipc=20, budget=4 << 20, clips=14, data={"classes": 2})]
    body = content(made)
    assert body["groups"][0]["amounts"] == ["IPC 20", "4 MiB"]
    assert {row["amount"]: row["clips_a_class"] for row in body["rows"] if row["status"] == "ok"} == {
        "IPC 20": "20",
        "4 MiB": "7",
    }


def test_data_that_may_not_be_compared_are_apart():
    made = content([record("dm", [70]), record("dm", [60], protocol="standard/1"), record("dm", [50], fingerprint="e")])
    assert len(made["groups"]) == 3
    assert sorted(row["group"] for row in made["rows"]) == [0, 1, 2]


def test_thinning_keeps_both_ends_and_the_order():
    kept = thinned(list(range(1000)))
    assert (kept[0], kept[-1], len(kept)) == (0, 999, MOST_POINTS)
    assert kept == sorted(set(kept))
    assert thinned([3, 1, 2]) == [3, 1, 2]


def test_what_was_skipped_hides_no_count_of_the_clips():
    skipped = Record(record("dc", [50]).cell, "skipped", "too small", data={"written": "shapes-mixed"})
    made = content([skipped, record("dm", [70], data={"train": 12, "test": 6})])
    assert [(group["train"], group["test"]) for group in made["groups"]] == [(12, 6)]
