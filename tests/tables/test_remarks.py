"""What footnotes say of rows, and remarks of the whole table."""

from __future__ import annotations

import dataclasses

import pytest

from bench.tables.remarks import (
    NETWORKS_ONLY,
    SEEDS_ONLY,
    TOO_FEW,
)
from tests.tables.conftest import only, texts


def test_what_an_interval_leaves_out_is_said(make_record):
    row = only([make_record("dm", [30, 34])]).rows[0]
    assert (row.figures.accuracy.covers, texts(row, "accuracy")) == ("networks", [NETWORKS_ONLY])
    row = only([make_record("dm", [30], seed=seed) for seed in range(3)]).rows[0]
    assert (row.figures.accuracy.covers, texts(row, "accuracy")) == ("seeds", [SEEDS_ONLY])
    row = only([make_record("dm", [30])]).rows[0]
    assert (row.figures.accuracy.half_width, texts(row, "accuracy")) == (None, [TOO_FEW])


def test_an_objective_that_did_not_fall_is_said(make_record):
    def row(*losses):
        made = [
            dataclasses.replace(
                make_record("dm", [30, 34], seed=seed), history={"step": [1.0, 2.0], "loss": list(each)}
            )
            for seed, each in enumerate(losses)
        ]
        return only(made).rows[0]

    rising = row((4.0, 6.0), (2.0, 1.0), (3.0, 5.0))
    assert (rising.figures.objective.before, rising.figures.objective.after) == (3.0, 4.0)
    assert "its objective did not fall: 3 at its start, 4 over the last tenth of its steps" in texts(rising, "accuracy")
    falling = row((4.0, 3.0), (2.0, 2.5), (3.0, 1.0))
    assert falling.figures.objective.fell()
    assert not [text for text in texts(falling, "accuracy") if "objective" in text]
    assert row((4.0, 3.0), (2.0, None), (3.0, 1.0)).figures.objective is None  # a seed diverged


def test_a_set_that_was_learned_in_segments_has_no_objective_of_its_own(make_record):
    record = dataclasses.replace(make_record("dm", [30]), history={"step": [1.0, 2.0], "loss": [1.0, 2.0]})
    segmented = dataclasses.replace(record, cell=dataclasses.replace(record.cell, setting="n8-r8-k2-nearest"))
    assert only([segmented]).rows[0].figures.objective is None
    assert only([record]).rows[0].figures.objective is not None


def test_without_a_baseline_or_reference_the_table_says_so(make_record):
    board = only([make_record("dm", [30])])
    assert board.rows[0].figures.gain is None
    assert "no gain over random: random has no complete row in this table" in board.remarks
    assert (
        "no share of the full data: a method without budget (such as full) has no complete row in this table"
        in board.remarks
    )


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "skipped", "interrupted"])
def test_a_method_without_finished_cells_shows_status_and_reason(make_record, status):
    row = only([make_record("dm", status=status, reason="no room", seed=seed) for seed in (0, 1)]).rows[0]
    assert (row.status, row.figures) == (status, None)
    assert texts(row, "accuracy") == [f"seeds 0, 1 {status}: no room"]


def test_several_ways_to_end_are_all_named(make_record):
    records = [
        make_record("dm", status="oom", reason="a", seed=0),
        make_record("dm", status="failed", reason="b", seed=1),
    ]
    row = only(records).rows[0]
    assert row.status == "failed/oom"
    assert texts(row, "accuracy") == ["seed 0 oom: a", "seed 1 failed: b"]


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


def on(kinds, record):
    return dataclasses.replace(record, provenance={"processors": kinds})


def test_a_row_that_mixes_kinds_of_processor_is_marked(make_record):
    records = [on(["AVX2"], make_record("dm", [30, 34], seed=0)), on(["AVX512"], make_record("dm", [31, 35], seed=1))]
    board = only(records)
    mark = "made on 2 kinds of processor, whose figures of the same cell differ: seed 0 on AVX2; seed 1 on AVX512"
    assert mark in texts(board.rows[0], "accuracy")
    assert "CAUTION: the rows do not agree on the kind of processor: dm (AVX2) against dm (AVX512)" in board.remarks


def test_a_cell_in_parts_on_two_kinds_is_marked_too(make_record):
    (row,) = only([on(["AVX2", "AVX512"], make_record("dm", [30, 34]))]).rows
    assert "made on 2 kinds" in " ".join(texts(row, "accuracy"))


@pytest.mark.parametrize("kinds", [["AVX2"], []])
def test_one_kind_and_unknown_ones_are_not_mixed(make_record, kinds):
    """Older records do not say what they were made on."""
    board = only([on(["AVX2"], make_record("dm", [30, 34], seed=0)), on(kinds, make_record("dm", [31, 35], seed=1))])
    assert not any("kind" in text for text in [*texts(board.rows[0], "accuracy"), *board.remarks])


def test_what_a_codec_lost_may_be_no_number(make_record):
    board = only([make_record("dm", [30, 34], storage="float16", data={"storage_loss": {"rms": None}})])
    assert texts(board.rows[0], "stored") == [
        "stored as float16: rendered clips are inf (rms), at most inf off, in network units"
    ]
