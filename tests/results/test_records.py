"""Records on disk: what is written is what is read, and nothing half-written or tampered with is believed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os

import pytest

from bench.api import Evaluation
from bench.core.errors import BenchError
from bench.core.files import canonical_json, write_atomic
from bench.results.cells import Cell
from bench.results.history import Objective, objective
from bench.results.records import (
    Motion,
    NewerSchema,
    PhaseCost,
    Record,
    RecordStore,
    SetReport,
    StoredTensor,
    from_json,
)

CELL = Cell(
    method="dm",
    config={"lr": 1.5, "steps": 300, "augment": None, "init": "réel"},
    version=1,
    dataset="folder:Videos/été",
    fingerprint="f" * 64,
    geometry={"frames": 8, "gap": 8, "scale": 32, "size": 32, "views": 1},
    profile="quick",
    network="convnet3d-small",
    protocol="quick/1",
    ipc=1,
    setting="n8-r8-k1-nearest",
    seed=0,
)

RECORD = Record(
    cell=CELL,
    status="ok",
    set=SetReport("dense", 3, 73728, 294912, {"pixels": StoredTensor((3, 3, 8, 32, 32), "uint8", 73728)}, None),
    evaluations=(
        Evaluation(0, ((8, 2, 0), (1, 9, 0), (5, 0, 0)), None, 1.0, True, 0.001, 100),
        Evaluation(
            1,
            ((7, 3, 0), (0, 9, 1), (0, 0, 5)),
            23,
            0.5,
            False,
            1.25,
            100,
            {"reversed": 7, "frozen": 5},
            9,
            8,
            f"{2**25 - 2**4 << 3:07x}",
            (20, 23, 21),
        ),
    ),
    costs={"distil": PhaseCost(1.5, 1.25, 0, 10**9), "upstream": PhaseCost(9.0, 8.0, 5, 6, shared=True)},
    history={"step": [1.0, 2.0], "loss": [3.0, 2.5]},
    data={
        "classes": 3,
        "class_names": ["a", "b", "c"],
        "train": 30,
        "test": 25,
        "digest": "d" * 64,
        "left_out": [["a.avi", "empty"]],
        "notes": [],
        "upstream": {"experts": dataclasses.asdict(PhaseCost(9.0, 8.0, 5, 6, shared=True))},
    },
    provenance={"commit": None, "device": "cpu"},
    motion=Motion(set=(0.125, None, 0.0), real=(0.5, 0.25, 0.375)),
)


def test_a_record_reads_back_as_it_was():
    assert from_json(RECORD.to_json()) == RECORD


def test_a_record_of_a_run_that_diverged_reads_with_what_json_can_hold():
    record = dataclasses.replace(RECORD, history={"step": [1.0, 2.0], "loss": [float("inf"), float("nan")]})
    read = from_json(record.to_json())
    assert read == dataclasses.replace(RECORD, history={"step": [1.0, 2.0], "loss": [None, None]})
    assert from_json(read.to_json()) == read
    with pytest.raises(ValueError, match="not a record: Expected `float"):
        from_json(tampered(lambda body: body["history"].update(loss=["high"])))


@pytest.mark.parametrize("name", ["reason", "set", "costs", "data", "provenance", "history"])
def test_no_field_may_be_missing(name):
    with pytest.raises(ValueError, match=f"not a record: KeyError: '{name}'"):
        from_json(tampered(lambda body: body.pop(name)))


def test_the_ends_of_the_history_are_kept_and_all_else_is():
    loud = '\n "history": {\n "x": 1\n },\n'
    record = dataclasses.replace(
        RECORD, reason=loud, provenance={"history": {"a": 1}}, tuning={"history": {"loss": []}}
    )
    expected = record  # its history has no more than its ends
    written = record.to_json()
    assert from_json(written, history=False) == expected
    assert from_json(json.dumps(json.loads(written)), history=False) == expected  # laid out otherwise
    long = dataclasses.replace(
        record, history={"step": [*map(float, range(40))], "loss": [9.0, *[1.0] * 35, 2.0, 3.0, 4.0, 5.0]}
    )
    short = from_json(long.to_json(), history=False)
    assert short == dataclasses.replace(record, history={"step": [0.0, 37.5], "loss": [9.0, 3.5]})
    assert objective(short.history) == objective(long.history) == Objective(9.0, 3.5)


def test_a_record_says_how_its_config_was_tuned_and_older_ones_do_not():
    told = dataclasses.replace(RECORD, tuning={"fields": ["lr"], "trials": [{"factor": 3.16, "accuracy": None}]})
    assert from_json(told.to_json()) == told
    assert told.id == RECORD.id
    assert from_json(tampered(lambda body: body.pop("tuning"))) == RECORD


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "skipped", "interrupted"])
def test_a_record_without_a_set_reads_back_as_it_was(status):
    record = Record(dataclasses.replace(CELL, ipc=None, seed=None, judged_on="validation"), status, "why")
    assert from_json(record.to_json()) == record


def test_the_file_says_accuracies_for_its_readers():
    entries = json.loads(RECORD.to_json())["evaluations"]
    assert [entry["accuracy"] for entry in entries] == pytest.approx([17 / 25, 21 / 25])
    assert entries[0]["per_class"] == pytest.approx([0.8, 0.9, 0.0])
    assert [entry["selection_inflation"] for entry in entries] == [None, pytest.approx(2 / 25)]


LATER = ("budget", "storage", "evaluation_network", "precision", "plugins")


def test_an_id_is_the_hash_of_what_was_asked():
    asked = {name: value for name, value in dataclasses.asdict(CELL).items() if name not in LATER}
    spelled = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert CELL.id() == hashlib.sha256(spelled.encode()).hexdigest()
    assert RECORD.id == CELL.id()


def test_a_record_of_before_there_were_budgets_reads_as_one_without():
    def before(body):
        for name in LATER:
            del body["cell"][name]

    assert from_json(tampered(before)) == RECORD


def test_a_record_with_a_budget_reads_back_as_it_was():
    record = dataclasses.replace(RECORD, cell=dataclasses.replace(CELL, budget=2**20, storage="float16"))
    assert from_json(record.to_json()) == record


def test_an_id_does_not_depend_on_the_order_of_options():
    backwards = dict(reversed(CELL.config.items()))
    assert list(backwards) != list(CELL.config)
    assert dataclasses.replace(CELL, config=backwards).id() == CELL.id()


@pytest.mark.parametrize(
    "change",
    [
        {"method": "dc"}, {"config": {**CELL.config, "lr": 2.0}}, {"version": 2}, {"plugins": {"method": "b" * 64}}, {"dataset": "x"},
        {"fingerprint": "e" * 64}, {"geometry": {**CELL.geometry, "size": 64}}, {"profile": "paper"}, {"network": "x"},
        {"protocol": "quick/2"}, {"ipc": 2}, {"ipc": None}, {"setting": "n4-r8-k1-linear"}, {"seed": 1}, {"seed": None},
        {"judged_on": "validation"}, {"schema": 3},
    ],
)  # fmt: skip
def test_everything_that_was_asked_is_in_the_id(change):
    assert dataclasses.replace(CELL, **change).id() != CELL.id()


def test_canonical_json_refuses_what_json_has_no_number_for():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"lr": float("nan")})


def test_a_title_names_the_cell():
    assert CELL.title() == "dm · folder:Videos/été · ipc 1 · seed 0"
    assert dataclasses.replace(CELL, ipc=None, seed=None).title() == "dm · folder:Videos/été"
    assert dataclasses.replace(CELL, judged_on="validation").title().endswith(" · ipc 1 · seed 0 · on validation")


def tampered(change):
    """The record as an earlier version wrote it, without a digest, and then changed: only what it says can give it away."""
    body = json.loads(RECORD.to_json())
    del body["digest"], body["format"]
    change(body)
    return json.dumps(body)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body["cell"].update(ipc=5), "id does not match"),
        (lambda body: body["cell"]["config"].update(lr=9.0), "id does not match"),
        (lambda body: body.update(id="0" * 64), "id does not match"),
        (lambda body: body.pop("id"), "id does not match"),
        (lambda body: body["cell"].update(schema=99), "schema 99"),
        (lambda body: body.update(status="fine"), "Invalid enum value 'fine' - at `\\$.status`"),
        (lambda body: body.pop("evaluations"), "not a record: KeyError"),
        (lambda body: body["cell"].update(colour="red"), "not a record: TypeError"),
        (lambda body: body["evaluations"][0].pop("confusion"), "missing required field `confusion`"),
        (lambda body: body["costs"].update(distil=3), "not a record: Expected `object`, got `int`"),
        (lambda body: body.update(evaluations=None), "not a record: Expected `array`, got `null`"),
        (lambda body: body.update(cell=None), "not a record: TypeError"),
        (lambda body: body["motion"].pop("real"), "not a record: Object missing required field `real`"),
    ],
)
def test_a_record_that_was_changed_is_not_believed(change, reason):
    with pytest.raises(ValueError, match=reason):
        from_json(tampered(change))


def edited(change):
    body = json.loads(RECORD.to_json())
    change(body)
    return json.dumps(body, indent=1, sort_keys=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["evaluations"][0].update(loss=0.002),
        lambda body: body["evaluations"][0].update(accuracy=0.99),  # nobody reads it but people
        lambda body: body["costs"]["distil"].update(wall_seconds=0.5),
        lambda body: body["provenance"].update(commit="abc"),
        lambda body: body.update(note="by hand"),
        lambda body: body.pop("motion"),
        lambda body: body.pop("digest"),
        lambda body: body.pop("format"),
        lambda body: body.update(digest="0" * 64),
        lambda body: body.update(digest=None),
    ],
)
def test_whatever_is_edited_the_digest_tells(change):
    with pytest.raises(ValueError, match="it is not what was written: its digest does not match its contents"):
        from_json(edited(change))


def test_the_digest_is_that_of_the_contents_and_not_of_their_layout():
    body = json.loads(RECORD.to_json())
    digest = body.pop("digest")
    spelled = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digest == hashlib.sha256(spelled.encode()).hexdigest()
    for text in (
        RECORD.to_json().replace("\n", "\r\n"),
        edited(lambda body: None),  # the digest stands elsewhere
        json.dumps(dict(reversed(json.loads(RECORD.to_json()).items())), separators=(",", ":")),
    ):
        assert from_json(text) == RECORD


def test_a_file_of_a_later_format_is_left_to_later_versions():
    with pytest.raises(NewerSchema, match="format 3, this version of the suite reads up to 2"):
        from_json(edited(lambda body: body.update(format=3)))
    with pytest.raises(ValueError, match="not a record: it has format 'x'"):
        from_json(edited(lambda body: body.update(format="x")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body["set"].update(storage_bytes=1), "storage_bytes is 1; its tensors come to 73,728"),
        (lambda body: body["set"].update(storage_bytes_fp32=4), "storage_bytes_fp32 is 4; its tensors come to 294,912"),
        (lambda body: body["set"]["tensors"]["pixels"].update(bytes=9), "'pixels' is said to have 9 bytes; its shape"),
        (lambda body: body["set"]["tensors"]["pixels"].update(shape=[-1, 2]), "tensor 'pixels' has an impossible size"),
        (lambda body: body["set"]["tensors"]["pixels"].update(shape=[2**62] * 9), "tensor 'pixels' has an impossible size"),
        (lambda body: body["set"]["tensors"].update(labels={"shape": [4, 3], "dtype": "float32", "bytes": 48}), "storage_bytes is 73,728"),
        (lambda body: body["set"].update(clips=0), "its set has 0 clips"),
        (lambda body: body["set"].update(kind=""), "its set is of no kind"),
        (lambda body: body["set"].update(artefact="../../elsewhere"), "its set is named after another cell"),
        (lambda body: body["evaluations"][1].update(network=0), "its networks are numbered 0, 0"),
        (lambda body: body["evaluations"][0].update(confusion=[[8, 2, 0], [1, 9, 0], [5, 0]]), "its confusion matrix is not square"),
        (lambda body: body["evaluations"][1].update(correct_clips="0" * 7), "its test clips are not the ones"),
        (lambda body: body["evaluations"][0].update(confusion=[[9, 1], [7, 8]]), "has 2 classes, the data 3"),
        (lambda body: body["evaluations"][0].update(confusion=[[12, -2, 0], [1, 9, 0], [5, 0, 0]]), "holds an impossible count"),
        (lambda body: body["evaluations"][0].update(confusion=[[18, 2, 0], [1, 9, 0], [5, 0, 0]]), "counts 35 clips, the data has 25"),
        (lambda body: body["evaluations"][1].update(confusion=[[7, 4, 0], [0, 8, 1], [0, 0, 5]]), r"s\[1\]: its test clips are not those"),
        (lambda body: body["evaluations"][1].update(top5=26), "top5 is 26 of 25 test clips"),
        (lambda body: body["evaluations"][1].update(top5=20), "top5 is 20, though 21 are correct"),
        (lambda body: body["evaluations"][1]["probes"].update(frozen=26), r"probes.frozen is 26 of 25 test clips"),
        (lambda body: body["evaluations"][1].update(frozen_both=-1), r"frozen_both is -1 of 25 test clips"),
        (lambda body: body["evaluations"][1].update(checkpoints=[21, 20]), "its last checkpoint has 20 correct, its confusion matrix 21"),
        (lambda body: body["evaluations"][0].update(train_accuracy=1.5), "train_accuracy is 1.5"),
        (lambda body: body["evaluations"][0].update(loss=1e308), r"loss is 1e\+308"),
        (lambda body: body["evaluations"][0].update(updates=-1), "updates is -1"),
        (lambda body: body["data"].update(classes=2), "data.class_names has 3 names for 2 classes"),
        (lambda body: body["data"].update(train=-30), "data.train is -30"),
        (lambda body: body["data"].update(test=0), "counts 25 clips, the data has 0 to test on"),
        (lambda body: body["data"].update(test_keys_digest="../../x"), "data.test_keys_digest is no digest"),
        (lambda body: body["data"].update(storage_loss={"rms": 1e200}), "data.storage_loss.rms is 1e"),
        (lambda body: body["data"].update(deep=functools.reduce(lambda inner, _: [inner], range(30), 0)), "deeper than 20 levels"),
        (lambda body: body["motion"]["set"].pop(), "motion.set has 2 figures for 3 classes"),
        (lambda body: body["motion"].update(real=[1e200, 0, 0]), "motion.real holds an impossible figure"),
        (lambda body: body["costs"]["distil"].update(wall_seconds=-1.5), "costs.distil.wall_seconds is -1.5"),
        (lambda body: body["costs"]["distil"].update(device_seconds=1e308), "costs.distil.device_seconds is 1e"),
        (lambda body: body["costs"]["distil"].update(peak_host_bytes=2**64 - 1), "costs.distil.peak_host_bytes is 18446744073709551615"),
        (lambda body: body["costs"]["upstream"].update(wall_seconds=10.0), "costs.upstream.wall_seconds is 10.0; its parts come to 9.0"),
    ],
)  # fmt: skip
def test_a_record_that_contradicts_itself_is_not_believed(change, reason):
    with pytest.raises(ValueError, match=f"it contradicts itself: .*{reason}"):
        from_json(tampered(change))


def test_no_history_that_is_written_today_has_lists_of_unequal_lengths():
    uneven = dataclasses.replace(RECORD, history={"step": [1.0, 2.0], "loss": [0.5]})
    with pytest.raises(ValueError, match="the lists of its history differ in length: loss 1, step 2"):
        from_json(uneven.to_json())
    older = from_json(tampered(lambda body: body["history"]["loss"].pop()))  # earlier versions wrote such
    assert older.history == {"step": [1.0, 2.0], "loss": [3.0]}


@pytest.mark.parametrize("name", ["labels", "inner.labels"])
def test_a_set_of_labels_has_as_many_as_clips(name):
    tensors = {name: StoredTensor((4, 3), "float32", 48)}
    with pytest.raises(ValueError, match="its set has 3 clips and labels of 4"):
        from_json(dataclasses.replace(RECORD, set=SetReport("dense", 3, 48, 48, tensors, None)).to_json())


def test_a_set_keeps_to_its_budget_in_bytes():
    small = dataclasses.replace(
        RECORD, cell=dataclasses.replace(CELL, budget=73727), set=dataclasses.replace(RECORD.set, artefact=None)
    )
    with pytest.raises(ValueError, match="its set takes 73,728 bytes of a budget of 73,727"):
        from_json(small.to_json())


def test_text_that_is_no_utf8_is_written_so_that_it_can_be_read(tmp_path):
    store = RecordStore(tmp_path)
    store.write(Record(CELL, "failed", "caf\udce9.avi does not decode"))
    assert store.read(CELL.id()).reason == "caf\\udce9.avi does not decode"


def test_a_record_of_before_the_probes_reads_without_them():
    def before(body):
        del body["motion"]
        for entry in body["evaluations"]:
            del entry["probes"], entry["frozen_trained"], entry["frozen_both"]

    record = from_json(tampered(before))
    plain = [
        dataclasses.replace(entry, probes={}, frozen_trained=None, frozen_both=None) for entry in RECORD.evaluations
    ]
    assert record == dataclasses.replace(RECORD, motion=None, evaluations=tuple(plain))


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{}", "not json"])
def test_what_is_no_record_is_a_value_error(text):
    with pytest.raises(ValueError, match="not a record"):
        from_json(text)


def test_no_truncated_record_is_believed():
    text = RECORD.to_json().rstrip()
    for end in range(0, len(text), 97):
        for history in (True, False):
            with pytest.raises(ValueError, match="not a record"):
                from_json(text[:end], history)


# ----------------------------------------------------------------------------------------------------------------------
# The folder


def test_a_store_gives_back_what_it_was_given(tmp_path):
    store = RecordStore(tmp_path)
    assert store.read(RECORD.id) is None
    store.write(RECORD)
    assert store.read(RECORD.id) == RECORD
    assert [path.name for path in (tmp_path / "cells").iterdir()] == [f"{RECORD.id}.json"]


def test_a_second_write_replaces_the_first(tmp_path):
    store = RecordStore(tmp_path)
    store.write(Record(CELL, "failed", "once"))
    store.write(RECORD)
    assert list(store.all()) == [RECORD]


def test_the_order_of_writing_does_not_matter(tmp_path):
    records = [dataclasses.replace(RECORD, cell=dataclasses.replace(CELL, seed=seed)) for seed in range(5)]
    forwards, backwards = RecordStore(tmp_path / "a"), RecordStore(tmp_path / "b")
    for record in records:
        forwards.write(record)
    for record in reversed(records):
        backwards.write(record)
    assert list(forwards.all()) == list(backwards.all())
    assert {record.cell.seed for record in forwards.all()} == set(range(5))


def test_an_absent_folder_holds_no_records(tmp_path):
    assert list(RecordStore(tmp_path / "nowhere").all()) == []


def test_unreadable_files_are_reported_and_the_others_read(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    (store.folder / "a.json").write_text(RECORD.to_json()[:200], encoding="utf-8")
    (store.folder / "b.json").write_bytes(b"\xff\xfe")
    (store.folder / "c.json").mkdir()
    bad = {}
    assert list(store.all(lambda path, reason: bad.update({path.name: reason}))) == [RECORD]
    assert sorted(bad) == ["a.json", "b.json", "c.json"]
    assert all(bad.values())
    assert list(store.all()) == [RECORD]


def test_a_record_that_cannot_be_trusted_reads_as_none(tmp_path):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    store.path(RECORD.id).write_text(tampered(lambda body: body["cell"].update(ipc=5)), encoding="utf-8")
    assert store.read(RECORD.id) is None


def test_a_folder_that_is_a_file_is_bad_input(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(BenchError, match=r"--out .*cannot write the record"):
        RecordStore(tmp_path / "out").write(RECORD)


def test_an_atomic_write_leaves_only_its_file(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_atomic_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch, step):
    path = tmp_path / "file.json"
    write_atomic(path, b"old")

    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_a_file_left_by_a_crash_is_no_record(tmp_path):
    """A process killed before its ``os.replace`` leaves a temporary file, which must not be taken for a record."""
    store = RecordStore(tmp_path)
    store.write(RECORD)
    (store.folder / f".{'0' * 64}.json.x1y2z3").write_text(RECORD.to_json(), encoding="utf-8")
    bad = []
    assert list(store.all(lambda *found: bad.append(found))) == [RECORD]
    assert bad == []
