"""Every figure of a row, against counts by hand."""

from __future__ import annotations

import dataclasses

import pytest

from bench.results.records import PhaseCost, StoredTensor
from bench.tables.columns import COLUMNS, Line
from bench.tables.ddranking import relative_scores
from bench.tables.remarks import (
    HOST,
    PROTOCOL_REMARKS,
    SHARED,
    SOFT,
    TUNED_TOGETHER,
    UNFIT,
)
from bench.tables.rows import PARTIAL
from bench.tables.stats import interval
from tests.tables.conftest import only, rows, texts


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


def test_gain_is_paired_by_seed_and_network(make_record):
    ours = {0: [30, 35], 1: [40, 45], 2: [50, 55]}
    theirs = {0: [25, 29], 1: [36, 42], 2: [47, 50]}
    records = [make_record("dm", right, seed=seed) for seed, right in ours.items()]
    records += [make_record("random", right, seed=seed) for seed, right in theirs.items()]
    board = rows(only(records))
    gain, expected = board["dm"].figures.gain, interval([[0.05, 0.06], [0.04, 0.03], [0.03, 0.05]])
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.13 / 3, expected.low, expected.high))
    assert board["random"].figures.gain is None


START = {"start": {"method": "start-clips", "config": {"labels": "hard"}}}


def test_the_gain_over_its_own_start_is_paired_with_the_set_that_was_learned_from(make_record):
    ours = {0: [30, 35], 1: [40, 45], 2: [50, 55]}
    before = {0: [29, 33], 1: [38, 44], 2: [51, 52]}
    records = [make_record("dm", right, seed=seed, data=START) for seed, right in ours.items()]
    records += [
        make_record("start-clips", right, seed=seed, config={"labels": "hard"}) for seed, right in before.items()
    ]
    records += [make_record("start-clips", [1, 1], seed=seed, config={"labels": "regression"}) for seed in range(3)]
    row = rows(only(records))["dm"]
    expected = interval([[0.01, 0.02], [0.02, 0.01], [-0.01, 0.03]])
    assert (row.figures.own_gain.mean, row.figures.own_gain.low) == pytest.approx((expected.mean, expected.low))
    assert texts(row, "own_gain") == []


def test_a_learned_set_without_its_start_beside_it_says_so(make_record):
    board = rows(only([make_record("dm", [30], data=START), make_record("random", [20])]))
    assert board["dm"].figures.own_gain is None
    assert texts(board["dm"], "own_gain") == [
        "its start (start-clips) has no complete row here; run the grid without --no-controls"
    ]
    assert texts(board["random"], "own_gain") == []


def test_a_set_that_learning_made_worse_is_marked(make_record):
    records = [make_record("dm", [30, 32], data=START)]
    records += [make_record("start-clips", [40, 41], config={"labels": "hard"})]
    (own_gain,) = (column for column in COLUMNS if column.key == "own_gain")
    board = only(records)
    shown = {row.label: own_gain.text(Line(board, row)) for row in board.rows}
    assert shown["dm"].startswith("-9.5")
    assert shown["dm"].endswith("▼")
    assert shown["start-clips"] == ""


def test_the_baseline_can_be_another_method(make_record):
    board = only([make_record("dm", [30]), make_record("herding", [24])], baseline="herding")
    assert rows(board)["dm"].figures.gain.mean == pytest.approx(0.06)


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


def test_a_row_says_which_of_its_values_were_published_for_something_else(make_record):
    told = "lr=30 was published for miniucf at IPC 1; for hmdb51 at IPC 1 nothing was"
    records = [make_record("dm", [30, 40], seed=seed) for seed in (0, 1)]
    lent = [dataclasses.replace(record, data={**record.data, "borrowed": told}) for record in records]
    board = rows(only([*lent, *(make_record("random", [20, 30], seed=seed) for seed in (0, 1))]))
    assert texts(board["dm"], "accuracy").count(told) == 1
    assert told not in texts(board["random"], "accuracy")


@pytest.mark.parametrize("name", ["labels", "inner.labels"])  # the latter under a storage codec
def test_a_set_with_labels_of_its_own_has_no_hard_label_scores(make_record, name):
    record = make_record("frepo", [30, 40])
    soft = dataclasses.replace(record.set, tensors={name: StoredTensor((2, 2), "float32", 16)})
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
    assert texts(row, "hlr") == [SOFT]
