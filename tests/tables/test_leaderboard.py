"""What a leaderboard compares, every figure of a row, and what its footnotes say."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from bench.results.records import PhaseCost, StoredTensor
from bench.tables.ddranking import relative_scores
from bench.tables.leaderboard import (
    HOST,
    NETWORKS_ONLY,
    PARTIAL,
    PROTOCOL_REMARKS,
    SEEDS_ONLY,
    SHARED,
    SOFT,
    TOO_FEW,
    TUNED_TOGETHER,
    UNFIT,
    leaderboards,
    setting_label,
)
from bench.tables.published import COLUMNS, parse
from bench.tables.stats import interval


def only(records, **options):
    (board,) = leaderboards(records, **options)
    return board


def rows(board):
    return {row.label: row for row in board.rows}


def texts(row, column):
    return [note.text for note in row.notes if note.column == column]


# ----------------------------------------------------------------------------------------------------------------------
# What is compared with what


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
    assert [board.title.rpartition(" · ")[2] for board in boards] == ["data eeeeeeeeeeee", "data ffffffffffff"]


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


# ----------------------------------------------------------------------------------------------------------------------
# Rows


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


def test_two_versions_of_a_source_are_two_rows(make_record):
    board = only([make_record("dm", [30], source="a" * 64), make_record("dm", [40], source="b" * 64)])
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


# ----------------------------------------------------------------------------------------------------------------------
# Figures


def test_accuracy_is_the_interval_over_seeds_and_networks(make_record):
    trainings = [[30, 34], [40, 42], [20, 22]]
    board = only([make_record("dm", right, seed=seed) for seed, right in enumerate(trainings)])
    found = board.rows[0].figures.accuracy
    assert found == interval([[right / 100 for right in row] for row in trainings])
    assert (found.mean, found.covers) == (pytest.approx(0.94 / 3), "both")
    assert board.rows[0].notes == ()


def test_networks_are_matched_by_their_number_not_their_place(make_record):
    """One seed's record lists its networks the other way round; the networks' means tell."""
    records = [make_record("dm", [30, 50], seed=seed) for seed in range(3)]
    swapped = dataclasses.replace(records[2], evaluations=records[2].evaluations[::-1])
    assert only([*records[:2], swapped]).rows[0].figures == only(records).rows[0].figures


def test_what_an_interval_leaves_out_is_said(make_record):
    row = only([make_record("dm", [30, 34])]).rows[0]
    assert (row.figures.accuracy.covers, texts(row, "accuracy")) == ("networks", [NETWORKS_ONLY])
    row = only([make_record("dm", [30], seed=seed) for seed in range(3)]).rows[0]
    assert (row.figures.accuracy.covers, texts(row, "accuracy")) == ("seeds", [SEEDS_ONLY])
    row = only([make_record("dm", [30])]).rows[0]
    assert (row.figures.accuracy.half_width, texts(row, "accuracy")) == (None, [TOO_FEW])


def test_gain_is_paired_by_seed_and_network(make_record):
    ours = {0: [30, 35], 1: [40, 45], 2: [50, 55]}
    theirs = {0: [25, 29], 1: [36, 42], 2: [47, 50]}
    records = [make_record("dm", right, seed=seed) for seed, right in ours.items()]
    records += [make_record("random", right, seed=seed) for seed, right in theirs.items()]
    board = rows(only(records))
    gain, expected = board["dm"].figures.gain, interval([[0.05, 0.06], [0.04, 0.03], [0.03, 0.05]])
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.13 / 3, expected.low, expected.high))
    assert board["random"].figures.gain is None


def test_the_baseline_can_be_another_method(make_record):
    board = only([make_record("dm", [30]), make_record("herding", [24])], baseline="herding")
    assert rows(board)["dm"].figures.gain.mean == pytest.approx(0.06)


def test_without_a_baseline_or_reference_the_table_says_so(make_record):
    board = only([make_record("dm", [30])])
    assert board.rows[0].figures.gain is None
    assert "no gain over random: random has no complete row in this table" in board.remarks
    assert (
        "no share of the full data: a method without budget (such as full) has no complete row in this table"
        in board.remarks
    )


def test_two_variants_of_the_baseline_give_no_gain(make_record):
    board = only([
        make_record("dm", [30]),
        make_record("random", [20], config={"views": 1}),
        make_record("random", [25], config={"views": 2}),
    ])  # fmt: skip
    assert rows(board)["dm"].figures.gain is None
    assert "no gain over random: random has 2 rows in this table" in board.remarks


def test_share_of_full_is_a_ratio_of_accuracies(make_record):
    board = rows(only([make_record("dm", [20, 40]), make_record("full", [70, 80], ipc=None, seed=None)]))
    assert board["dm"].figures.share == pytest.approx(0.3 / 0.75)
    assert board["full"].figures.share == pytest.approx(1)
    assert board["full"].reference


def test_of_several_methods_without_budget_the_one_with_most_clips_is_full(make_record):
    board = rows(only([
        make_record("dm", [30]),
        make_record("subset", [50], ipc=None, seed=None, clips=40),
        make_record("full", [60], ipc=None, seed=None, clips=400),
    ]))  # fmt: skip
    assert board["dm"].figures.share == pytest.approx(0.5)


def test_top5_is_a_share_of_the_test_clips(make_record):
    board = rows(only([make_record("dm", [30, 30], top5=[60, 70]), make_record("random", [20, 20])]))
    assert board["dm"].figures.top5.mean == pytest.approx(0.65)
    assert board["random"].figures.top5 is None


def test_selection_inflation_is_the_best_mean_over_networks_minus_the_last(make_record):
    def selected(seed, *checkpoints):
        made = make_record("dm", [counts[-1] for counts in checkpoints], seed=seed, protocol="wang2024/1")
        entries = zip(made.evaluations, checkpoints, strict=True)
        return dataclasses.replace(made, evaluations=tuple(dataclasses.replace(e, checkpoints=c) for e, c in entries))

    board = only([selected(0, (60, 50, 40), (10, 40, 40)), selected(1, (10, 20, 30), (10, 20, 30))])
    assert board.rows[0].figures.inflation == pytest.approx(((50 + 40 - 80) / 200 + 0) / 2)
    assert PROTOCOL_REMARKS["wang2024"] in board.remarks
    plain = only([make_record("dm", [40, 40])])
    assert plain.rows[0].figures.inflation is None
    assert PROTOCOL_REMARKS["wang2024"] not in plain.remarks


def test_bytes_come_as_counted_and_show_their_range(make_record):
    figures = (
        only([make_record("dm", [30], seed=seed, stored=stored) for seed, stored in enumerate([900, 1000])])
        .rows[0]
        .figures
    )
    assert (figures.stored.low, figures.stored.high) == (900, 1000)
    assert (figures.stored_fp32.low, figures.stored_fp32.high) == (3600, 4000)


def test_seconds_are_means_and_upstream_is_apart(make_record):
    def costs(distil, shared):
        upstream = PhaseCost(50.0, 1.0, 0, 10, shared=shared)
        return {"upstream": upstream, "distil": PhaseCost(distil, 1.0, 0, 30), "evaluate": PhaseCost(900.0, 1.0, 0, 20)}

    records = [make_record("mtt", [30], seed=seed, costs=costs(10.0 + 20 * seed, seed == 1)) for seed in range(2)]
    row = only(records).rows[0]
    assert (row.figures.distil_seconds, row.figures.upstream_seconds) == (20, 50)
    assert row.figures.upstream_shared
    assert texts(row, "upstream") == [SHARED]
    unshared = only(records[:1]).rows[0]
    assert texts(unshared, "upstream") == []
    assert only([make_record("dm", [30])]).rows[0].figures.upstream_seconds is None


def test_tuning_is_a_cost_of_its_own(make_record):
    def costs(shared):
        return {"tune": PhaseCost(70.0, 1.0, 0, 10, shared=shared), "distil": PhaseCost(10.0, 1.0, 0, 30)}

    row = only([make_record("dm", [30], seed=seed, costs=costs(True)) for seed in range(2)]).rows[0]
    assert (row.figures.tune_seconds, row.figures.distil_seconds, row.figures.upstream_seconds) == (70, 10, None)
    assert texts(row, "tune") == [TUNED_TOGETHER]
    assert texts(only([make_record("dm", [30], costs=costs(False))]).rows[0], "tune") == []
    assert only([make_record("dm", [30])]).rows[0].figures.tune_seconds is None


def test_peak_memory_is_the_most_of_any_phase(make_record):
    on_host = {"distil": PhaseCost(1, 1, 0, 700), "evaluate": PhaseCost(1, 1, 0, 900)}
    row = only([make_record("dm", [30], costs=on_host)]).rows[0]
    assert (row.figures.peak_device, row.figures.peak_host) == (0, 900)
    assert texts(row, "memory") == [HOST]
    on_gpu = {"distil": PhaseCost(1, 1, 800, 900), "evaluate": PhaseCost(1, 1, 200, 900)}
    row = only([make_record("dm", [30], costs=on_gpu)]).rows[0]
    assert row.figures.peak_device == 800
    assert texts(row, "memory") == []


def test_unfit_networks_are_counted_and_marked(make_record):
    row = only(
        [make_record("dm", [30, 30, 30], seed=0, unfit=[1]), make_record("dm", [30, 30, 30], seed=1, unfit=[2])]
    ).rows[0]
    assert (row.figures.unfit, row.figures.trainings) == (2, 6)
    assert texts(row, "unfit") == [UNFIT]


# ----------------------------------------------------------------------------------------------------------------------
# Holes and remarks


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "skipped", "interrupted"])
def test_a_method_without_finished_cells_shows_status_and_reason(make_record, status):
    row = only([make_record("dm", status=status, reason="no room", seed=seed) for seed in (0, 1)]).rows[0]
    assert (row.status, row.figures) == (status, None)
    assert texts(row, "accuracy") == [f"seeds 0, 1 {status}: no room"]


def test_figures_of_a_cell_that_was_cut_short_do_not_count(make_record):
    row = only([make_record("dm", [90], status="timeout", reason="out of time")]).rows[0]
    assert row.figures is None


def test_an_ok_record_without_evaluations_is_a_hole(make_record):
    row = only([make_record("dm")]).rows[0]
    assert (row.status, texts(row, "accuracy")) == ("no figures", ["seed 0 ok, but its record holds no evaluation"])


def test_several_ways_to_end_are_all_named(make_record):
    records = [
        make_record("dm", status="oom", reason="a", seed=0),
        make_record("dm", status="failed", reason="b", seed=1),
    ]
    row = only(records).rows[0]
    assert row.status == "failed/oom"
    assert texts(row, "accuracy") == ["seed 0 oom: a", "seed 1 failed: b"]


def test_no_mean_is_taken_over_a_part_of_the_seeds(make_record):
    records = [make_record("random", [20, 22], seed=seed) for seed in range(4)]
    costs = {"distil": PhaseCost(12.0, 1.0, 0, 10), "upstream": PhaseCost(50.0, 1.0, 0, 10, shared=True)}
    records += [make_record("dm", [90, 95], seed=seed, costs=costs, top5=[99, 99], stored=700) for seed in (0, 1)]
    records += [make_record("dm", status="failed", reason="loss is not finite", seed=3)]
    records += [make_record("full", [99, 99], ipc=None, seed=None)]
    board = only(records)
    row = rows(board)["dm"]
    figures = row.figures
    assert row.status == PARTIAL
    assert (figures.accuracy, figures.top5, figures.gain, figures.share, figures.relative) == (None,) * 5
    assert (figures.rank, figures.distil_seconds, figures.upstream_seconds) == (None, None, None)
    assert texts(row, "upstream") == []
    assert (figures.seeds, figures.networks, figures.trainings, figures.complete) == (4, 2, 4, False)
    assert figures.stored.high == 700
    missing = "seed 3 failed: loss is not finite; seed 2 no record"
    assert texts(row, "accuracy") == [f"no mean over a part of the trainings; missing: {missing}"]
    assert [row.method for row in board.rows] == ["full", "random", "dm"]


def test_a_part_of_the_networks_is_a_part(make_record):
    row = rows(only([make_record("dm", [30, 40, 50]), make_record("mtt", [20, 30])]))["mtt"]
    assert row.figures.accuracy is None
    assert texts(row, "accuracy") == ["no mean over a part of the trainings; missing: seed 0 without network 2"]


def test_nothing_is_compared_with_a_partial_baseline_or_reference(make_record):
    board = only([
        make_record("dm", [30, 30]),
        make_record("random", [20]),
        make_record("full", [90], ipc=None, seed=None),
    ])  # fmt: skip
    figures = rows(board)["dm"].figures
    assert (figures.gain, figures.share, figures.relative) == (None, None, None)
    assert "no gain over random: random has no complete row in this table" in board.remarks


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


def test_chance_and_the_largest_class_come_from_the_confusion_matrix(make_record):
    board = only([make_record("dm", [30], counts=(10, 30, 20, 20))])
    assert (board.chance, board.majority) == (0.25, pytest.approx(30 / 80))
    expected = "chance is 25.0 % (4 classes); always answering the largest class of the test clips scores 37.5 %"
    assert expected in board.remarks


def test_a_table_of_holes_knows_no_chance(make_record):
    board = only([make_record("dm", status="skipped", reason="no")])
    assert (board.chance, board.majority) == (None, None)


def test_left_out_clips_are_counted_once_with_their_reasons(make_record):
    left_out = [["a.avi", "does not decode"], ["b.avi", "empty"], ["c.avi", "does not decode"]]
    records = [make_record(method, [30], data={"left_out": left_out}) for method in ("dm", "random")]
    assert "3 clips left out of the data: 2 × does not decode; 1 × empty" in only(records).remarks


def test_many_reasons_are_cut_short(make_record):
    left_out = [[f"{k}.avi", f"reason {k}"] for k in range(6)]
    (remark,) = [r for r in only([make_record("dm", [30], data={"left_out": left_out})]).remarks if "left out" in r]
    assert remark == "6 clips left out of the data: 1 × reason 0; 1 × reason 1; 1 × reason 2; 3 other reasons"


def test_notes_of_the_data_are_said_once(make_record):
    data = {"notes": ["the split was drawn"]}
    board = only([make_record("dm", [30], data=data), make_record("random", [20], data=data)])
    assert board.remarks.count("the split was drawn") == 1


def test_rows_that_saw_other_clips_are_called_out(make_record):
    records = [
        make_record("dm", [30], data={"digest": "1" * 64}),
        make_record("mtt", [30], data={"digest": "1" * 64}),
        make_record("random", [20], data={"digest": "2" * 64}),
    ]
    expected = (
        "CAUTION: the rows do not agree on the decoded clips: "
        "dm, mtt (digest 111111111111) against random (digest 222222222222)"
    )
    assert expected in only(records).remarks
    assert not any("CAUTION" in remark for remark in only(records[:2]).remarks)


def test_rows_tested_on_other_counts_or_written_by_another_layout_are_called_out(make_record):
    counts = only([make_record("dm", [30]), make_record("random", [20], counts=(50, 49))])
    expected = (
        "CAUTION: the rows do not agree on the test clips: "
        "random (counts by class 50,49) against dm (counts by class 50,50)"
    )
    assert expected in counts.remarks
    layout = only([make_record("dm", [30]), make_record("random", [20], schema=3)])
    assert (
        "CAUTION: the rows do not agree on the record's layout: dm (schema 2) against random (schema 3)"
        in layout.remarks
    )


def test_a_long_reason_is_cut(make_record):
    row = only([make_record("dm", status="failed", reason="word " * 200)]).rows[0]
    (text,) = texts(row, "accuracy")
    assert len(text) < 270
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("written", "frames", "label"),
    [
        ("n16-r16-k1-nearest", 16, "dense"),
        ("n8-r8-k1-nearest", 16, "n8-r8-k1-nearest"),
        ("n8-r16-k1-linear", 16, "keyframes-8"),
        ("n1-r1-k1-nearest", 8, "static"),
        ("n8-r8-k4-nearest", 8, "segments-4"),
        ("n99-r1-k1-nearest", 8, "n99-r1-k1-nearest"),
        ("of another version", 8, "of another version"),
    ],
)
def test_settings_are_called_by_their_preset(written, frames, label):
    assert setting_label(written, frames) == label


# ----------------------------------------------------------------------------------------------------------------------
# Ranks, published figures, relative scores


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


def test_relative_scores_compare_with_the_full_data_and_random(make_record):
    records = [
        make_record("dm", [30, 40]),
        make_record("random", [20, 30]),
        make_record("full", [70, 80], ipc=None, seed=None),
    ]
    board = rows(only(records))
    assert board["dm"].figures.relative == relative_scores(0.35, 0.75, 0.25)
    assert board["random"].figures.relative.ior == 0
    assert board["full"].figures.relative is None
    assert rows(only(records[:2]))["dm"].figures.relative is None


def test_a_set_with_labels_of_its_own_has_no_hard_label_scores(make_record):
    record = make_record("frepo", [30, 40])
    soft = dataclasses.replace(record.set, tensors={"labels": StoredTensor((2, 2), "float32", 16)})
    row = rows(
        only(
            [
                dataclasses.replace(record, set=soft),
                make_record("random", [20, 30]),
                make_record("full", [70, 80], ipc=None, seed=None),
            ]
        )
    )["frepo"]
    assert row.figures.relative is None
    assert texts(row, "ddranking") == [SOFT]


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
