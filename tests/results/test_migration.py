"""Records of other schema versions, damaged ones, and copies: brought up, set aside or left out, and named."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from bench.results import records
from bench.results.records import NewerSchema, RecordStore, from_json
from tests.results.test_records import CELL, RECORD


@pytest.fixture
def second_schema(monkeypatch):
    """Version 2, in which ``reason`` has become a capital letter's matter and version 1 called ``ipc`` ``spc``."""

    def rename(body):
        cell = {("ipc" if name == "spc" else name): value for name, value in body["cell"].items()}
        return {**body, "cell": cell, "reason": body["reason"].upper()}

    monkeypatch.setattr(records, "SCHEMA", 2)
    monkeypatch.setattr(records, "MIGRATIONS", {1: rename})


def first_layout(**changes):
    """The text of a record as version 1 wrote it, and its id."""
    body = json.loads(dataclasses.replace(RECORD, status="failed", reason="why").to_json())
    body["cell"] = {("spc" if name == "ipc" else name): value for name, value in body["cell"].items()} | changes
    body["id"] = records._identity(body["cell"])
    return json.dumps(body), body["id"]


def repaired(store):
    lines = []
    store.repair(lines.append)
    return lines


def test_an_older_record_reads_as_one_of_today(second_schema):
    text, _ = first_layout()
    record = from_json(text)
    assert record.cell == dataclasses.replace(CELL, schema=2)
    assert record.reason == "WHY"
    assert record.evaluations == RECORD.evaluations
    assert from_json(record.to_json()) == record


def test_an_older_record_that_was_changed_is_not_believed(second_schema):
    text, _ = first_layout()
    with pytest.raises(ValueError, match="id does not match"):
        from_json(text.replace('"spc": 1', '"spc": 5'))


def test_versions_without_a_way_are_refused_by_number(second_schema):
    with pytest.raises(ValueError, match="schema 0, from which there is no way to 2"):
        from_json(first_layout(schema=0)[0])
    with pytest.raises(NewerSchema, match="schema 3, this version of the suite reads up to 2"):
        from_json(first_layout(schema=3)[0])
    with pytest.raises(ValueError, match="schema 'x'"):
        from_json(first_layout(schema="x")[0])


def test_a_run_rewrites_older_records_under_their_new_id(second_schema, tmp_path):
    store = RecordStore(tmp_path)
    text, old = first_layout()
    store.folder.mkdir()
    store.path(old).write_text(text)
    new = dataclasses.replace(CELL, schema=2).id()
    (read,) = store.all()  # tables see it without changing the file
    assert read.id == new
    assert store.path(old).exists()
    assert repaired(store) == [f"record {old}.json: brought to schema 2, now {new}.json"]
    assert [path.name for path in store.folder.iterdir()] == [f"{new}.json"]
    assert store.read(new) == read
    assert repaired(store) == []


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
    assert f"record {later}.json is left out: schema 3, this version of the suite reads up to 1" in lines
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


def test_half_written_files_are_removed_once_they_are_old(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    old, new = (store.folder / f".{RECORD.id}.json.{end}" for end in ("aaaa", "bbbb"))
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    assert repaired(store) == []
    assert {path.name for path in store.folder.iterdir()} == {f"{RECORD.id}.json", new.name}
