"""What a leaderboard compares with what, in which order its rows stand, their ranks, and figures of papers beside them."""

from __future__ import annotations

import itertools

import pytest

from bench.tables.leaderboard import leaderboards
from bench.tables.published import COLUMNS, parse
from bench.tables.remarks import (
    NETWORKS_ONLY,
)
from bench.tables.rows import setting_label
from tests.tables.conftest import only, rows, texts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "shapes-motion"),
        ("fingerprint", "e" * 64),
        ("profile", "paper"),
        ("network", "convnet3d"),
        ("geometry", {"frames": 8, "gap": 4, "scale": 32, "size": 32, "views": 1}),
        ("protocol", "quick/2"),
        ("judged_on", "validation"),
        ("ipc", 5),
        ("setting", "n4-r8-k1-linear"),
    ],
)
def test_nothing_that_differs_shares_a_table(make_record, field, value):
    boards = leaderboards([make_record("dm", [30]), make_record("dm", [60], **{field: value})])
    assert sorted(board.rows[0].figures.accuracy.mean for board in boards) == [0.3, 0.6]
    assert all(len(board.rows) == 1 for board in boards)
    assert boards[0].title != boards[1].title


def test_the_title_says_what_the_rows_share(make_record):
    board = only([make_record("dm", [30])])
    assert board.title == "shapes-mixed · IPC 1 · dense · quick · quick/1 · convnet3d-small"
    judged = only([make_record("dm", [30], judged_on="validation", setting="n4-r8-k1-linear", ipc=5)])
    assert judged.title.startswith("shapes-mixed · IPC 5 · keyframes-4 · quick")
    assert judged.title.endswith("· judged on validation")


def test_titles_that_would_be_equal_show_the_fingerprint(make_record):
    boards = leaderboards([make_record("dm", [30]), make_record("dm", [30], fingerprint="e" * 64)])
    names = ["shapes-mixed (data eeeeeeeeeeee)", "shapes-mixed (data ffffffffffff)"]
    assert [board.title.partition(" · ")[0] for board in boards] == names


def test_tables_come_in_the_order_of_the_taxonomy_then_of_ipc(make_record):
    asked = itertools.product(["n1-r1-k1-nearest", "n8-r8-k1-nearest", "n4-r8-k1-linear"], [10, 2])
    boards = leaderboards([make_record("dm", [30], setting=setting, ipc=ipc) for setting, ipc in asked])
    named = [(setting_label(board.setting, 8), board.ipc) for board in boards]
    assert named == [(name, ipc) for name in ("dense", "keyframes-4", "static") for ipc in (2, 10)]


def test_a_method_without_budget_is_in_every_table_of_its_group(make_record):
    records = [
        make_record("dm", [30], ipc=ipc, setting=setting)
        for ipc in (1, 5)
        for setting in ("n8-r8-k1-nearest", "n4-r8-k1-linear")
    ]
    records += [make_record("full", [80], ipc=None, seed=None), make_record("dm", [20], dataset="other")]
    boards = leaderboards(records)
    with_full = {(board.group.dataset, board.ipc) for board in boards if "full" in rows(board)}
    assert with_full == {("shapes-mixed", 1), ("shapes-mixed", 5)}
    assert len(boards) == 5


def test_a_group_of_only_the_full_data_has_a_table(make_record):
    board = only([make_record("full", [80], ipc=None, seed=None)])
    assert (board.ipc, board.rows[0].figures.accuracy.mean) == (None, 0.8)


def test_no_records_make_no_tables():
    assert leaderboards([]) == []


def test_the_order_of_the_records_does_not_matter(make_record):
    records = [
        make_record(method, [right + seed, right], seed=seed, data={"digest": method, "notes": [method]})
        for method, right in (("dm", 30), ("random", 25))
        for seed in range(2)
    ]
    expected = leaderboards(records)
    assert all(leaderboards(order) == expected for order in itertools.permutations(records))


def test_a_record_that_occurs_twice_counts_once(make_record):
    figures = only([make_record("dm", [30, 40])] * 2).rows[0].figures
    assert (figures.seeds, figures.trainings) == (1, 2)


def test_the_reference_is_first_then_accuracy_falls_and_holes_are_last(make_record):
    board = only([
        make_record("a-failed", status="failed", reason="boom"),
        make_record("low", [20]),
        make_record("full", [25], ipc=None, seed=None),
        make_record("high", [60]),
    ])  # fmt: skip
    assert [row.method for row in board.rows] == ["full", "high", "low", "a-failed"]


def test_two_configurations_are_two_rows_that_show_what_differs(make_record):
    base = {"steps": 300, "init": "real"}
    board = only([
        make_record("dm", [30], config={"lr": 1.0, **base}),
        make_record("dm", [40], config={"lr": 10.0, **base}),
        make_record("mtt", [50], config={"lr": 5.0}),
    ])  # fmt: skip
    assert [row.label for row in board.rows] == ["mtt", "dm [lr=10]", "dm [lr=1]"]


def test_a_hyper_parameter_that_only_one_version_had_is_shown(make_record):
    board = only(
        [make_record("dm", [30], config={"lr": 1.0}), make_record("dm", [40], config={"lr": 1.0, "aug": True})]
    )
    assert [row.label for row in board.rows] == ["dm [aug=True]", "dm"]


def test_two_sources_of_a_plugin_are_two_rows_if_asked_for(make_record):
    (board,) = leaderboards(
        [make_record("dm", [30], source="a" * 64), make_record("dm", [40], source="b" * 64)], all_versions=True
    )
    assert {label: row.figures.accuracy.mean for label, row in rows(board).items()} == {
        "dm [source=aaaaaaa]": 0.3,
        "dm [source=bbbbbbb]": 0.4,
    }


def test_failed_attempts_with_another_source_are_left_out_and_counted(make_record):
    board = only([
        make_record("dm", [30], source="b" * 64),
        make_record("dm", status="failed", reason="typo", source="a" * 64, seed=0),
        make_record("dm", status="oom", reason="full", source="a" * 64, seed=1),
    ])  # fmt: skip
    assert [(row.label, row.status) for row in board.rows] == [("dm", "ok")]
    assert "dm: 2 unfinished cells of another version of its source left out" in board.remarks


def test_of_several_methods_without_budget_the_one_with_most_clips_is_full(make_record):
    board = rows(only([
        make_record("dm", [30]),
        make_record("subset", [50], ipc=None, seed=None, clips=40),
        make_record("full", [60], ipc=None, seed=None, clips=400),
    ]))  # fmt: skip
    assert board["dm"].figures.share == pytest.approx(0.5)


def test_figures_of_a_cell_that_was_cut_short_do_not_count(make_record):
    row = only([make_record("dm", [90], status="timeout", reason="out of time")]).rows[0]
    assert row.figures is None


def test_an_ok_record_without_evaluations_is_a_hole(make_record):
    row = only([make_record("dm")]).rows[0]
    assert (row.status, texts(row, "accuracy")) == ("no figures", ["seed 0 ok, but its record holds no evaluation"])


def test_a_method_without_randomness_misses_no_seed(make_record):
    """And its interval over networks leaves nothing out, unless what it is compared with has seeds."""
    records = [make_record("random", [30, 31], seed=seed) for seed in range(2)]
    row = rows(only([*records, make_record("herding", [40, 41], seed=None)]))["herding"]
    assert row.status == "ok"
    assert texts(row, "accuracy") == []
    assert texts(row, "gain") == [NETWORKS_ONLY]


def test_a_method_that_ran_with_another_budget_is_missing_here(make_record):
    boards = leaderboards([
        make_record("dm", [30], ipc=1),
        make_record("mtt", [30], ipc=1),
        make_record("dm", [40], ipc=5, config={"lr": 9.0}),
        make_record("frepo", [30], ipc=1, setting="n4-r8-k1-linear"),
    ])  # fmt: skip
    statuses = {(setting_label(b.setting, 8), b.ipc): {row.method: row.status for row in b.rows} for b in boards}
    assert statuses == {
        ("dense", 1): {"dm": "ok", "mtt": "ok"},
        ("dense", 5): {"dm": "ok", "mtt": "missing"},
        ("keyframes-4", 1): {"frepo": "ok"},
    }


def seeds_of(make_record, method, *accuracies, **cell):
    """One record for each distillation seed; every network of a seed differs a little."""
    return [make_record(method, [k, k + 1, k - 1], seed=seed, **cell) for seed, k in enumerate(accuracies)]


def test_ranks_follow_from_tests_of_all_pairs_but_the_reference(make_record):
    board = only([
        *seeds_of(make_record, "dm", 60, 61, 60, 61, 60),
        *seeds_of(make_record, "mtt", 61, 60, 61, 60, 61),
        *seeds_of(make_record, "random", 30, 31, 30, 31, 30),
        make_record("full", [90, 91, 92], ipc=None, seed=None),
    ])  # fmt: skip
    ranks = {row.label: (row.figures.rank, row.figures.tied) for row in board.rows}
    assert ranks == {"full": (None, False), "mtt": (1, True), "dm": (1, True), "random": (3, False)}
    labels = [row.label for row in board.rows]
    tests = {(labels[test.first], labels[test.second]): test for test in board.tests}
    assert set(tests) == {("mtt", "dm"), ("mtt", "random"), ("dm", "random")}
    assert tests["dm", "random"].difference == pytest.approx(0.30)
    assert tests["dm", "random"].significant
    assert not tests["mtt", "dm"].significant


def test_partial_rows_are_not_tested(make_record):
    records = [*seeds_of(make_record, "dm", 60, 61, 60), *seeds_of(make_record, "random", 30, 31, 30)]
    board = only([*records, make_record("mtt", [99, 99, 99])])
    assert [(row.label, row.figures.rank) for row in board.rows] == [("dm", 1), ("random", 2), ("mtt", None)]
    assert len(board.tests) == 1


@pytest.mark.parametrize(
    ("seeds", "correct", "reason"),
    [(2, [30, 31], "fewer than 3 distillation seeds"), (3, [30], "a single network trained on each set")],
)
def test_too_few_trainings_for_ranks_are_said_to_be(make_record, seeds, correct, reason):
    board = only([make_record(method, correct, seed=seed) for method in ("dm", "mtt") for seed in range(seeds)])
    assert {row.figures.rank for row in board.rows} == {None}
    assert board.tests == ()
    assert f"no ranks: {reason}, too few to test methods against each other" in board.remarks


def test_a_lone_method_has_no_rank_and_no_remark(make_record):
    board = only([make_record("dm", [30]), make_record("full", [90], ipc=None, seed=None)])
    assert {row.figures.rank for row in board.rows} == {None}
    assert not any("no ranks" in remark for remark in board.remarks)


REPORTED = parse(
    f"{','.join(COLUMNS)}\n"
    "Wang2024,MiniUCF,4662/1861,1,DM,ConvNet3D,top1,15.3,,,secondary,a reprint\n"
    "rerun,MiniUCF,4662/1861,1,DM,ConvNet3D,top1,15.07,1.07,,first-hand,a log\n"
    "rerun,MiniUCF,4662/1861,full,full,ConvNet3D,top1,56.17,,,first-hand,a log\n"
    "Wang2024,SSv2,-,1,DM,ConvNet3D,top5,4.0,,,first-hand,a review\n",
    "published.csv",
)


PAPER = {"dataset": "miniucf", "network": "convnet3d", "protocol": "standard/1", "profile": "paper"}


def test_published_figures_stand_beside_measured_ones(make_record):
    records = [make_record("dm", [16, 18], **PAPER), make_record("random", [10, 10], **PAPER)]
    records += [make_record("full", [50, 52], ipc=None, seed=None, **PAPER)]
    board = only(records, published=REPORTED)
    dm, full, random = (rows(board)[name] for name in ("dm", "full", "random"))
    assert (dm.figures.reported.mean, dm.figures.reported.paper) == (0.1507, "rerun")
    assert dm.figures.deviation == pytest.approx(0.17 - 0.1507)
    assert texts(dm, "reported") == ["rerun: a log", "also reported: 15.3 by Wang2024, read second-hand: a reprint"]
    assert full.figures.deviation == pytest.approx(0.51 - 0.5617)
    assert (random.figures.reported, random.figures.deviation) == (None, None)
    remark = "reported figures were measured by their papers' own protocols, this table's is standard/1"
    assert remark in board.remarks
    assert remark not in only(records).remarks


def test_a_reported_top5_is_compared_with_top5(make_record):
    records = [make_record("dm", [10, 10], top5=[30, 40], **(PAPER | {"dataset": "ssv2"}))]
    assert only(records, published=REPORTED).rows[0].figures.deviation == pytest.approx(0.35 - 0.04)
    records = [make_record("dm", [10, 10], **(PAPER | {"dataset": "ssv2"}))]
    assert only(records, published=REPORTED).rows[0].figures.deviation is None


@pytest.mark.parametrize(
    "cell",
    [
        {"dataset": "miniucf (stand-in)"},
        {"network": "convnet3d-small"},
        {"ipc": 5},
        {"setting": "n4-r8-k1-linear"},
        {"judged_on": "validation"},
    ],
)
def test_a_figure_of_something_else_is_not_shown(make_record, cell):
    board = only([make_record("dm", [16, 18], **(PAPER | cell))], published=REPORTED)
    assert board.rows[0].figures.reported is None


def test_a_partial_row_shows_what_was_reported_but_no_deviation(make_record):
    records = [make_record("dm", [16, 18], **PAPER), make_record("random", [10, 10], seed=1, **PAPER)]
    figures = rows(only(records, published=REPORTED))["dm"].figures
    assert figures.reported is not None
    assert figures.deviation is None
