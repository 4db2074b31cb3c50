"""Accuracy without leaked test clips, against counts by hand, and how the command finds the list."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest

from bench.core import bitstrings as bits
from bench.results import test_clips as tested
from bench.results.records import RecordStore, from_json
from bench.tables.leaderboard import leaderboards
from bench.tables.leaks import Leaks, accuracy_without

KEYS = tuple(f"clip{k}" for k in range(10))
DIGEST = tested.digest(KEYS)


def with_clips(record, *rights):
    """The record with the results of each network's clips: a string of 0 and 1 each."""
    evaluations = tuple(
        dataclasses.replace(entry, correct_clips=bits.pack([digit == "1" for digit in right]))
        for entry, right in zip(record.evaluations, rights, strict=True)
    )
    return dataclasses.replace(record, evaluations=evaluations, data={"test_keys_digest": DIGEST})


@pytest.fixture
def judged(make_record):
    """Seven and five of ten clips right; without clips 0, 1, 2 and 9 it is three and four of six."""
    return with_clips(make_record("dm", [7, 5], counts=(5, 5)), "1110011011", "1000111010")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 341])
def test_bits_come_back(count):
    flags = [k % 3 == 0 for k in range(count)]
    assert len(bits.pack(flags)) == -(-count // 4)
    assert bits.unpack(bits.pack(flags), count) == flags


def test_bits_are_in_reading_order_and_their_number_is_checked():
    assert bits.pack([True, False, False, False, True]) == "88"
    with pytest.raises(ValueError, match="2 hexadecimal digits for 9 answers"):
        bits.unpack("88", 9)


def test_leaked_clips_do_not_count(judged):
    leaks = Leaks({"shapes-mixed": frozenset({"clip0", "clip1", "clip2", "clip9", "elsewhere"})}, {DIGEST: KEYS})
    [board] = leaderboards([judged], leaks=leaks)
    figures = board.rows[0].figures
    assert figures.accuracy.mean == pytest.approx(0.6)
    assert figures.without_leaks.mean == pytest.approx((3 / 6 + 4 / 6) / 2)
    assert figures.left_out == 4
    assert "4 of 10 test clips are leaked: near-identical frames stand in train" in board.remarks


def test_several_passes_count_each_clip_in_each(judged):
    kept = (True, False, True)
    entry = dataclasses.replace(
        judged.evaluations[0], confusion=((4, 0), (2, 0)), correct_clips=bits.pack([1, 1, 0, 0, 1, 1])
    )
    assert accuracy_without(entry, kept) == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert accuracy_without(entry, (True, False, True, True)) is None  # six results are not of four clips
    assert accuracy_without(entry, (False, False, False)) is None


def test_a_record_without_results_of_clips_is_a_footnote(judged, make_record):
    old = make_record("random", [5, 5], counts=(5, 5))
    leaks = Leaks({"shapes-mixed": frozenset({"clip0"})}, {DIGEST: KEYS})
    [board] = leaderboards([judged, old], leaks=leaks)
    rows = {row.method: row for row in board.rows}
    assert rows["random"].figures.without_leaks is None
    assert [note.text for note in rows["random"].notes if note.column == "without_leaks"]
    assert not [note.text for note in rows["dm"].notes if note.column == "without_leaks"]
    [unasked] = leaderboards([judged, old])
    assert not [note for row in unasked.rows for note in row.notes if note.column == "without_leaks"]


def test_records_hold_results_of_clips_and_check_them(judged):
    assert from_json(judged.to_json()) == judged
    body = json.loads(judged.to_json())
    del body["digest"], body["format"]  # as earlier versions wrote it
    body["evaluations"][0]["correct_clips"] = bits.pack([True] * 10)
    with pytest.raises(ValueError, match="not the ones that its confusion matrix counts"):
        from_json(json.dumps(body))
    del body["evaluations"][0]["correct_clips"]  # as written before they were kept
    assert from_json(json.dumps(body)).evaluations[0].correct_clips == ""


def test_a_run_keeps_what_the_table_needs(finished, bench_main, tmp_path):
    out, *_ = finished
    [path] = (out / "test-clips").glob("*.json")
    keys = tested.read(out, path.stem)
    assert keys == tuple(f"test/{name}/{number}" for name in ("amber", "blue", "coral") for number in range(2))
    records = list(RecordStore(out).all())
    assert {record.data["test_keys_digest"] for record in records} == {path.stem}
    listed = tmp_path / "list.csv"
    listed.write_text("test_file,nearest_train_file\ntest/blue/0,train/blue/1\n")
    done = bench_main("table", "--out", out, "--format", "csv", "--without-leaks", listed)
    assert done.code == 0, done.err
    lines = {line["method"]: line for line in csv.DictReader(done.out.splitlines())}
    for record in records:
        shares = []
        for entry in record.evaluations:
            right = bits.unpack(entry.correct_clips, 6)
            assert [sum(right[2 * k : 2 * k + 2]) for k in range(3)] == [
                row[k] for k, row in enumerate(entry.confusion)
            ]
            shares.append(sum(flag for flag, key in zip(right, keys, strict=True) if key != "test/blue/0") / 5)
        line = lines[record.cell.method]
        assert float(line["accuracy_without_leaks"]) == pytest.approx(sum(shares) / len(shares))
        assert line["leaked_left_out"] == "1"
    assert "accuracy without leaked clips %" in bench_main("table", "--out", out, "--without-leaks", listed).out
    plain = bench_main("table", "--out", out, "--format", "csv").out
    assert "leaks" not in plain.splitlines()[0]


def test_the_list_is_found_by_the_datasets_name(judged, tmp_path, bench_main):
    RecordStore(tmp_path).write(judged)
    no_keys = bench_main("table", "--out", tmp_path, "--without-leaks")
    assert (no_keys.code, "says which test clips were classified correctly" in no_keys.err) == (2, True)
    assert tested.keep(tmp_path, KEYS) == DIGEST
    none = bench_main("table", "--out", tmp_path, "--without-leaks")
    assert (none.code, "leaks/shapes-mixed.csv" in none.err) == (2, True)
    (tmp_path / "leaks").mkdir()
    (tmp_path / "leaks" / "shapes-mixed.csv").write_text("test_file\nclip3\n")
    found = bench_main("table", "--out", tmp_path, "--without-leaks")
    assert found.code == 0, found.err
    assert "1 of 10 test clips are leaked" in found.out
    (tmp_path / "other.csv").write_text("test_file\nelsewhere\n")
    other = bench_main("table", "--out", tmp_path, "--without-leaks", tmp_path / "other.csv")
    assert (other.code, "none of its 1 clips is a test clip" in other.err) == (2, True)
