"""``python -m bench merge``: what is joined, what is kept, and that a contradiction stops everything."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from bench.results.merge import StoredRecord, choose, differing, facts
from bench.results.records import RecordStore


@pytest.fixture
def halves(finished, tmp_path):
    """Two folders: each has one record of its own, and both have the other two."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        shutil.copytree(finished[0], folder)
    full, random = (by_method(finished[0])[name].id for name in ("full", "random"))
    RecordStore(folders[0]).path(full).unlink()
    RecordStore(folders[1]).path(random).unlink()
    shutil.rmtree(folders[1] / "artefacts" / random)
    return folders


def by_method(out):
    return {record.cell.method: record for record in RecordStore(out).all()}


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_halves_make_the_whole(bench_main, halves, finished, tmp_path):
    out = tmp_path / "all"
    outcome = bench_main("merge", *halves, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "4 records, 4 of them new or better; 3 sets copied" in outcome.out
    whole = snapshot(finished[0])
    assert snapshot(out) == {path: data for path, data in whole.items() if path.parts[0] != "published.csv"}
    assert bench_main("table", "--out", out).out == finished[2].out


def test_the_same_again_changes_nothing_and_a_folder_may_be_joined_into_itself(bench_main, halves, tmp_path):
    bench_main("merge", *halves, "--out", tmp_path / "all")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "all").rglob("*")}
    outcome = bench_main("merge", *halves, tmp_path / "all", halves[0], "--out", tmp_path / "all")
    assert outcome.code == 0
    assert "4 records, 0 of them new or better; 0 sets copied" in outcome.out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "all").rglob("*")} == before


def test_other_times_and_another_machine_are_no_contradiction(bench_main, halves, tmp_path):
    store = RecordStore(halves[1])
    record = by_method(halves[1])["herding"]
    slow = {name: dataclasses.replace(cost, wall_seconds=1e6, shared=True) for name, cost in record.costs.items()}
    data = {name: value for name, value in record.data.items() if name != "upstream"}
    store.write(dataclasses.replace(record, costs=slow, data=data, provenance={"cpu": "another"}))
    assert bench_main("merge", *halves, "--out", tmp_path / "all").code == 0
    assert by_method(tmp_path / "all")["herding"] == by_method(halves[0])["herding"]  # the first is kept


def test_contradictions_are_named_and_nothing_is_written(bench_main, halves, tmp_path):
    store = RecordStore(halves[1])
    record = by_method(halves[1])["tiny-walk"]
    second = dataclasses.replace(record.evaluations[1], loss=0.125)
    store.write(dataclasses.replace(record, evaluations=(record.evaluations[0], second)))
    tensors = halves[1] / "artefacts" / by_method(halves[1])["herding"].id / "memory.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x7f")
    outcome = bench_main("merge", *halves, "--out", tmp_path / "all")
    assert outcome.code == 2
    assert not (tmp_path / "all").exists()
    lines = outcome.err.splitlines()
    where = f"in {halves[0]} and {halves[1]}"
    assert f"{record.id[:12]} (tiny-walk · tiny · ipc 1 · seed 0) {where}: evaluations[1].loss" in lines
    assert any("herding · tiny" in line and line.endswith(f"{where}: artefact") for line in lines)
    assert lines[-1].startswith("error: 2 cells differ between the folders (above); nothing was written")


def test_what_the_destination_holds_counts_too(bench_main, halves):
    record = by_method(halves[0])["tiny-walk"]
    RecordStore(halves[0]).write(dataclasses.replace(record, history={}))
    before = snapshot(halves[0])
    outcome = bench_main("merge", halves[1], "--out", halves[0])
    assert outcome.code == 2
    assert "history" in outcome.err
    assert snapshot(halves[0]) == before


@pytest.mark.parametrize(
    ("statuses", "kept"),
    [("ok failed", 0), ("failed ok", 1), ("interrupted failed", 1), ("timeout ok", 1), ("oom failed", 0), ("skipped oom", 0)],
)  # fmt: skip
def test_the_better_of_two_ends_is_kept(finished, tmp_path, statuses, kept):
    record = by_method(finished[0])["random"]
    entries = [
        StoredRecord(tmp_path / str(i), dataclasses.replace(record, status=s)) for i, s in enumerate(statuses.split())
    ]
    assert choose(*entries) == (entries[kept], ())


def test_ok_and_skipped_contradict_each_other(finished, tmp_path):
    record = by_method(finished[0])["random"]
    skipped = dataclasses.replace(record, status="skipped")
    assert choose(StoredRecord(tmp_path, record), StoredRecord(tmp_path, skipped))[1] == ("status",)


def test_differences_are_found_at_any_depth(finished):
    record = by_method(finished[0])["full"]
    assert differing(facts(record), facts(record)) == []
    assert differing({"a": [{"b": 1}, {"b": 2}], "c": (1, 2)}, {"a": ({"b": 1}, {"b": 3}), "c": [1, 2]}) == ["a[1].b"]
    assert differing({"a": 1}, {"b": 1}) == ["a", "b"]
    assert differing({"a": [{"b": 1}]}, {"a": []}) == ["a"]


def test_a_record_that_cannot_be_read_is_left_out_and_told(bench_main, halves, tmp_path):
    path = RecordStore(halves[1]).path(by_method(halves[1])["full"].id)
    path.write_text("{")
    outcome = bench_main("merge", *halves, "--out", tmp_path / "all")
    assert outcome.code == 1
    assert f"left out {path}: not a record" in outcome.err
    assert set(by_method(tmp_path / "all")) == {"random", "herding", "tiny-walk"}


def test_what_is_no_folder_of_results_is_refused(bench_main, halves, tmp_path):
    outcome = bench_main("merge", halves[0], tmp_path, "--out", tmp_path / "all")
    assert (outcome.code, outcome.err) == (2, f"error: {tmp_path}: not a folder of results: it has no 'cells'\n")
    file = tmp_path / "file"
    file.write_text("")
    assert bench_main("merge", halves[0], "--out", file).err == f"error: --out {file}: not a folder\n"
