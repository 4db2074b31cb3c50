"""Records of other schema versions, damaged ones, and copies: brought up, set aside or left out, and named."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from bench.results.cells import identity
from bench.results.records import NewerSchema, RecordStore, from_json
from tests.results.test_records import CELL, RECORD

OF_THE_SUITE = dataclasses.replace(CELL, version=1)
OF_A_PLUGIN = dataclasses.replace(CELL, method="mine", plugins={"method": "c" * 64})


def first_layout(ended="2026-01-01T00:00:00+00:00", **changes):
    """The text of a record as version 1 wrote it, with the digest of the method's source, and its id."""
    body = json.loads(dataclasses.replace(RECORD, status="failed", reason="why").to_json())
    del body["digest"], body["format"]
    fields = {name: value for name, value in body["cell"].items() if name not in ("version", "plugins")}
    body["cell"] = {**fields, "source": "c" * 64, "schema": 1} | changes
    body["provenance"]["ended"] = ended
    body["id"] = identity(body["cell"])
    body["set"]["artefact"] = body["id"]
    return json.dumps(body), body["id"]


def repaired(store):
    lines = []
    store.repair(lines.append)
    return lines


def test_a_record_of_schema_1_is_known_by_the_version_of_its_method():
    record = from_json(first_layout()[0])
    assert record.cell == OF_THE_SUITE
    assert record.reason == "why"
    assert record.evaluations == RECORD.evaluations
    assert record.provenance["source"] == "c" * 64
    assert record.set.artefact == OF_THE_SUITE.id()
    assert from_json(record.to_json()) == record


def test_a_record_of_schema_1_of_a_plugin_keeps_the_digest_of_its_source():
    assert from_json(first_layout(method="mine")[0]).cell == OF_A_PLUGIN


def test_the_set_of_another_network_stays_that_of_the_cell_that_distilled_it():
    body = json.loads(first_layout(evaluation_network="other")[0])
    body["set"]["artefact"] = json.loads(first_layout()[0])["id"]
    assert from_json(json.dumps(body)).set.artefact == OF_THE_SUITE.id()


def test_an_older_record_that_was_changed_is_not_believed():
    text, _ = first_layout()
    with pytest.raises(ValueError, match="id does not match"):
        from_json(text.replace('"ipc": 1', '"ipc": 5'))


def test_versions_without_a_way_are_refused_by_number():
    with pytest.raises(ValueError, match="schema 0, from which there is no way to 2"):
        from_json(first_layout(schema=0)[0])
    with pytest.raises(NewerSchema, match="schema 3, this version of the suite reads up to 2"):
        from_json(first_layout(schema=3)[0])
    with pytest.raises(ValueError, match="schema 'x'"):
        from_json(first_layout(schema="x")[0])


def test_a_run_rewrites_older_records_and_their_sets_under_their_new_id(tmp_path):
    store = RecordStore(tmp_path)
    text, old = first_layout()
    store.folder.mkdir()
    store.path(old).write_text(text)
    (tmp_path / "artefacts" / old).mkdir(parents=True)
    new = OF_THE_SUITE.id()
    (read,) = store.all()  # tables see it without changing the file
    assert read.id == new
    assert store.path(old).exists()
    assert repaired(store) == [f"record {old}.json: brought to schema 2, now {new}.json"]
    assert [path.name for path in store.folder.iterdir()] == [f"{new}.json"]
    assert store.read(new) == read
    assert [path.name for path in (tmp_path / "artefacts").iterdir()] == [new]
    assert repaired(store) == []


def test_a_finished_older_record_stands_before_one_that_failed_later(tmp_path):
    store = RecordStore(tmp_path)
    store.folder.mkdir()
    for day, source, status in ((1, "c", "ok"), (2, "d", "failed")):
        text, _ = first_layout(f"2026-01-0{day}T00:00:00+00:00", source=source * 64)
        body = json.loads(text) | {"status": status}
        store.path(body["id"]).write_text(json.dumps(body))
    assert [record.status for record in store.all()] == ["ok"]
    repaired(store)
    assert [record.status for record in store.all()] == ["ok"]


def test_a_look_finds_older_records_by_the_ids_of_today_and_changes_nothing(tmp_path):
    store = RecordStore(tmp_path)
    store.folder.mkdir()
    text, old = first_layout()
    store.path(old).write_text(text)
    assert list(store.older()) == [OF_THE_SUITE.id()]
    assert [path.name for path in store.folder.iterdir()] == [f"{old}.json"]


def test_of_several_older_records_that_become_one_cell_the_newest_stands(tmp_path):
    """Before versions, each edit of a method's source made another cell."""
    store = RecordStore(tmp_path)
    store.folder.mkdir()
    ids = {}
    for day, source in ((2, "c"), (3, "d"), (1, "e")):
        text, ids[day] = first_layout(f"2026-01-0{day}T00:00:00+00:00", source=source * 64)
        store.path(ids[day]).write_text(text)
    (read,) = store.all()
    assert read.provenance["source"] == "d" * 64
    assert len(repaired(store)) == 3
    assert list(store.all()) == [read]
    older = {f"{ids[1]}.json.older", f"{ids[2]}.json.older"}
    assert {path.name for path in store.folder.iterdir()} == {f"{read.id}.json", *older}


def test_a_run_sets_damaged_records_aside_and_leaves_those_of_later_versions(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    whole = RECORD.to_json()
    cut = dataclasses.replace(CELL, seed=1).id()
    store.path(cut).write_text(whole[: len(whole) // 2])
    text, later = first_layout(schema=3)
    store.path(later).write_text(text)
    copy = store.folder / "copy.json"
    copy.write_text(whole)
    assert list(store.all()) == [RECORD]  # not twice
    lines = repaired(store)
    assert len(lines) == 3
    assert any(line.startswith(f"record {cut}.json cannot be trusted (not a record: ") for line in lines)
    assert any(line.endswith(f"it is now {cut}.json.damaged") for line in lines)
    assert f"record {later}.json is left out: schema 3, this version of the suite reads up to 2" in lines
    assert (
        "record copy.json cannot be trusted (its file is not named after its id); it is now copy.json.damaged" in lines
    )
    names = {f"{RECORD.id}.json", f"{cut}.json.damaged", f"{later}.json", "copy.json.damaged"}
    assert {path.name for path in store.folder.iterdir()} == names
    assert (store.folder / f"{cut}.json.damaged").read_text() == whole[: len(whole) // 2]


def test_a_record_under_another_name_is_not_that_cells(tmp_path):
    store = RecordStore(tmp_path)
    store.folder.mkdir()
    other = dataclasses.replace(CELL, seed=1).id()
    store.path(other).write_text(RECORD.to_json())
    assert store.read(other) is None


def test_a_run_gives_records_of_before_there_were_digests_one_and_their_ids_stay(tmp_path):
    store = RecordStore(tmp_path)
    store.folder.mkdir()
    for seed in range(3):
        record = dataclasses.replace(RECORD, cell=dataclasses.replace(CELL, seed=seed), set=None)
        body = json.loads(record.to_json())
        del body["digest"], body["format"]
        store.path(record.id).write_text(json.dumps(body))
    before = {record.id: record for record in store.all()}
    assert len(before) == 3
    assert repaired(store) == ["records of an earlier version: 3 now carry a digest of themselves"]
    assert {record.id: record for record in store.all()} == before
    for cell_id, record in before.items():
        assert store.path(cell_id).read_text() == record.to_json()
    assert repaired(store) == []


def test_a_run_sets_a_record_aside_that_was_edited(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    path = store.path(RECORD.id)
    path.write_text(path.read_text().replace('"loss": 0.001', '"loss": 0.0001'))
    assert repaired(store) == [
        f"record {path.name} cannot be trusted (it is not what was written: its digest does not match its contents); "
        f"it is now {path.name}.damaged"
    ]


def test_half_written_files_are_removed_once_they_are_old(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    old, new = (store.folder / f".{RECORD.id}.json.{end}" for end in ("aaaa", "bbbb"))
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    assert repaired(store) == []
    assert {path.name for path in store.folder.iterdir()} == {f"{RECORD.id}.json", new.name}
