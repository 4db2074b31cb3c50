"""``python -m bench merge``: what is joined, what is kept, and that a contradiction stops everything."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from bench.results.merge import Difference, StoredRecord, choose, differing, facts
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


@pytest.fixture
def contradicting(halves):
    """The halves, of which the second has another loss in one record and another tensor in one set."""
    store = RecordStore(halves[1])
    record = by_method(halves[1])["tiny-walk"]
    second = dataclasses.replace(record.evaluations[1], loss=0.125)
    later = {**record.provenance, "ended": "2999-01-01T00:00:00+00:00", "processors": ["another kind"]}
    store.write(dataclasses.replace(record, evaluations=(record.evaluations[0], second), provenance=later))
    tensors = halves[1] / "artefacts" / by_method(halves[1])["herding"].id / "memory.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x7f")
    return halves


def test_contradictions_are_shown_side_by_side_and_nothing_is_written(bench_main, contradicting, tmp_path):
    outcome = bench_main("merge", *contradicting, "--out", tmp_path / "all")
    assert outcome.code == 2
    assert not (tmp_path / "all").exists()
    lines = [line.split() for line in outcome.err.splitlines()]
    record = by_method(contradicting[0])["tiny-walk"]
    place = outcome.err.splitlines().index(f"{record.id[:12]} (tiny-walk · tiny · ipc 1 · seed 0) differs:")
    assert lines[place + 1] == [str(contradicting[0]), str(contradicting[1])]
    assert lines[place + 2] == ["evaluations.1.loss", str(record.evaluations[1].loss), "0.125"]
    assert lines[place + 3][:2] == ["made", "on"]
    assert outcome.err.splitlines()[place + 3].endswith("another kind")
    assert lines[place + 4] == ["ended", record.provenance["ended"], "2999-01-01T00:00:00+00:00"]
    assert any(line and line[0].startswith("set.tensors.") and line[-2] != line[-1] for line in lines)
    assert outcome.err.splitlines()[-1].startswith(
        "error: 2 cells differ between the folders (above); nothing was written; choose with --prefer (first, last, newer)"
    )


@pytest.mark.parametrize(("prefer", "kept"), [("first", 0), ("last", 1), ("newer", 1)])
def test_a_preference_settles_contradictions_of_records(bench_main, contradicting, tmp_path, prefer, kept):
    out = tmp_path / "all"
    assert bench_main("merge", *contradicting, "--out", out, "--prefer", prefer).code == 0
    assert by_method(out)["tiny-walk"] == by_method(contradicting[kept])["tiny-walk"]
    kept_set = 1 if prefer == "last" else 0  # both records of this one ended at the same time
    name = f"artefacts/{by_method(out)['herding'].id}/memory.safetensors"
    assert (out / name).read_bytes() == (contradicting[kept_set] / name).read_bytes()


def test_a_set_comes_with_the_record_that_is_preferred(bench_main, contradicting):
    """The destination's own set gives way with its record."""
    record = by_method(contradicting[1])["herding"]
    RecordStore(contradicting[1]).write(dataclasses.replace(record, history={"loss": [9.0]}))
    name = f"artefacts/{record.id}/memory.safetensors"
    wanted = (contradicting[1] / name).read_bytes()
    assert (contradicting[0] / name).read_bytes() != wanted
    assert bench_main("merge", contradicting[1], "--out", contradicting[0], "--prefer", "last").code == 0
    assert (contradicting[0] / name).read_bytes() == wanted
    assert by_method(contradicting[0])["herding"].history == {"loss": [9.0]}
    assert len(list((contradicting[0] / "artefacts").iterdir())) == 3


def test_two_runs_of_a_cell_agree_whatever_they_cost(bench_main, finished, tmp_path, tiny_plugin):
    """Manifests of sets hold seconds, and records hold machines and peaks of memory."""
    again = tmp_path / "again"
    assert bench_main(*finished[1], "--out", again).code == 0
    assert bench_main("merge", finished[0], again, "--out", tmp_path / "all").code == 0
    name = f"artefacts/{by_method(again)['herding'].id}/manifest.json"
    assert (again / name).read_bytes() != (finished[0] / name).read_bytes()


def test_the_costs_of_a_retry_are_no_contradiction(finished):
    record = by_method(finished[0])["random"]
    retried = dataclasses.replace(
        record, data={**record.data, "retried": {"peak_host_bytes": 1}}, tuning={"trials": []}
    )
    assert differing(facts(record), facts(retried)) == []


def test_a_damaged_set_is_told_from_another(bench_main, halves, tmp_path):
    (halves[1] / "artefacts" / by_method(halves[1])["herding"].id / "memory.safetensors").write_bytes(b"short")
    outcome = bench_main("merge", *halves, "--out", tmp_path / "all")
    assert outcome.code == 2
    assert ["set", "readable", "damaged"] in [line.split() for line in outcome.err.splitlines()]


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
    found = choose(StoredRecord(tmp_path, record), StoredRecord(tmp_path, skipped))[1]
    assert found == (Difference("status", "ok", "skipped"),)


def test_differences_are_found_at_any_depth(finished):
    record = by_method(finished[0])["full"]
    assert differing(facts(record), facts(record)) == []
    assert differing({"a": {"b": 1, "c": (1, 2)}}, {"a": {"b": 3, "c": [1, 2]}}) == [Difference("a.b", 1, 3)]
    assert differing({"a": 1}, {"b": 1}) == [Difference("a", 1, None), Difference("b", None, 1)]
    assert differing({"a": [1.0, float("nan")]}, {"a": [1.0, float("nan")]}) == []


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


@pytest.mark.parametrize("inside", ["cells", "new/folder"])
def test_a_folder_is_not_merged_into_itself(bench_main, halves, inside):
    before = snapshot(halves[0])
    outcome = bench_main("merge", *halves, "--out", halves[0] / inside)
    assert outcome.code == 2
    assert outcome.err == (
        f"error: --out {halves[0] / inside}: lies inside {halves[0]}, which is to be merged; name another folder\n"
    )
    assert snapshot(halves[0]) == before
