"""``python -m bench evaluate``: a stored set is judged again, alone, with the figures of its record."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch

from bench.results.artefacts import load_tensors, save_tensors
from bench.results.records import RecordStore


@pytest.fixture
def artefact(finished, tmp_path):
    """A copy of a stored set, and the record it belongs to."""
    out, _, _ = finished
    record = next(record for record in RecordStore(out).all() if record.cell.method == "tiny-walk")
    shutil.copytree(out / "artefacts" / record.id, tmp_path / "set")
    return tmp_path / "set", record


def accuracies(text):
    return [float(figure) for figure in re.findall(r"network \d+: accuracy ([\d.]+) %", text)]


def test_it_gives_the_accuracies_of_the_record(bench_main, artefact, tiny_plugin):
    folder, record = artefact
    outcome = bench_main("evaluate", folder, "--plugin", tiny_plugin)
    assert outcome.code == 0, outcome.err
    expected = [entry.accuracy() for entry in record.evaluations]
    assert accuracies(outcome.out) == [round(100 * value, 2) for value in expected]
    assert f"mean accuracy {100 * sum(expected) / 2:.2f} % over 2 networks" in outcome.out
    assert f"tiny-walk on tiny, 3 clips, {record.set.storage_bytes} bytes stored" in outcome.out
    assert "protocol tiny/1, network convnet3d-small, 6 test clips" in outcome.out
    assert "note: the real clips" not in outcome.err


def test_every_set_of_a_run_is_reproduced_and_nothing_is_written(bench_main, finished, tiny_plugin):
    out, _, _ = finished
    before = sorted(out.rglob("*"))
    for record in RecordStore(out).all():
        if record.set.artefact is not None:
            outcome = bench_main("evaluate", out / "artefacts" / record.set.artefact, "--plugin", tiny_plugin)
            assert accuracies(outcome.out) == [round(100 * entry.accuracy(), 2) for entry in record.evaluations]
    assert sorted(out.rglob("*")) == before


def test_another_protocol_network_and_other_clips_may_be_named(bench_main, artefact, tiny_plugin):
    folder, _ = artefact
    common = ["evaluate", folder, "--plugin", tiny_plugin]
    tinier = bench_main(*common, "--protocol", "tinier")
    assert "protocol tinier/3" in tinier.out
    assert "over 1 networks" in tinier.out
    other = bench_main(*common, "--datasets", "tiny[test=4]")
    assert other.code == 0
    assert "12 test clips" in other.out
    assert "note: these are not the real clips that the set was made from" in other.err


def test_a_set_made_from_stand_ins_can_be_judged_again(bench_main, tiny_plugin, tmp_path):
    out = tmp_path / "out"
    run = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny-declared", "--methods", "tiny-noise", "--stand-in", "--out", out
    )  # fmt: skip
    assert run.code == 0, run.err
    (record,) = RecordStore(out).all()
    outcome = bench_main("evaluate", out / "artefacts" / record.id, "--plugin", tiny_plugin)
    assert outcome.code == 0, outcome.err
    assert accuracies(outcome.out) == [round(100 * entry.accuracy(), 2) for entry in record.evaluations]
    assert "tiny-declared (stand-in)" in outcome.out


def edit(**values):
    def change(folder):
        path = folder / "manifest.json"
        body = {**json.loads(path.read_text()), **values, "sha256": None}
        path.write_text(json.dumps({key: value for key, value in body.items() if value is not None}))

    return change


def edit_cell(**values):
    def change(folder):
        path = folder / "manifest.json"
        body = json.loads(path.read_text())
        body["cell"] |= values
        del body["sha256"]
        path.write_text(json.dumps(body))

    return change


def tensors(**values):
    def change(folder):
        path = folder / "memory.safetensors"
        save_tensors(path, {**load_tensors(path)[0], **values}, {})
        edit(tensors_sha256=None)(folder)

    return change


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shutil.rmtree, "no distilled set there"),
        (cut("manifest.json", 40), "manifest.json is damaged"),
        (cut("memory.safetensors", -5), "memory.safetensors is missing or damaged"),
        (edit(cell=None), "manifest.json is damaged"),
        (edit(classes=None), "manifest.json is damaged"),
        (edit(dataset=None), "manifest.json is damaged"),
        (edit_cell(geometry={"frames": 4}), "manifest.json is damaged"),
        (edit_cell(network="gone"), "unknown network 'gone'"),
        (edit_cell(protocol="gone/1"), "unknown protocol 'gone'"),
        (edit(kind="gone"), "unknown kind of set 'gone'"),
        (edit(classes=["x", "y", "z"]), "the set was made for the classes x, y, z"),
        (edit(dataset={"name": "gone", "options": {}, "digest": ""}), "unknown dataset 'gone'"),
        (tensors(clips=torch.zeros(3, 3, 4, 16, 8)), "render() gives (1, 3, 4, 16, 8)"),
        (tensors(labels=torch.tensor([0, 1, 3])), "labels must lie in 0..2"),
        (tensors(clips=torch.full((3, 3, 4, 16, 16), torch.nan)), "not finite"),
    ],
)
def test_a_damaged_set_is_refused_in_a_sentence(bench_main, artefact, tiny_plugin, change, words):
    folder, _ = artefact
    change(folder)
    outcome = bench_main("evaluate", folder, "--plugin", tiny_plugin)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--datasets shapes-motion", "the set was made for the classes amber, blue, coral"),
        ("--datasets nothing", "unknown dataset 'nothing'"),
        ("--protocol quik", "unknown protocol 'quik'; did you mean quick"),
        ("--network convnet", "unknown network 'convnet'; did you mean convnet3d"),
        ("--network convnet3d", "network 'convnet3d' needs clips of at least 8 frames of 64x64"),
        ("--device tpu", "--device: 'tpu' is no device"),
        ("--plugin nothing.py", "--plugin: no file 'nothing.py'"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(bench_main, artefact, tiny_plugin, options, words):
    outcome = bench_main("evaluate", artefact[0], "--plugin", tiny_plugin, *options.split())
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_a_set_is_judged_on_several_networks_and_those_that_decline_are_named(bench_main, artefact, tiny_plugin):
    folder, record = artefact
    outcome = bench_main("evaluate", folder, "--plugin", tiny_plugin, "--nets", "convnet3d-small,cnn-gru,mvit")
    assert outcome.code == 0, outcome.err
    assert re.findall(r"network ([\w-]+), 6 test clips", outcome.out) == ["convnet3d-small", "cnn-gru"]
    assert accuracies(outcome.out)[:2] == [round(100 * entry.accuracy(), 2) for entry in record.evaluations]
    assert "left out: network 'mvit' needs clips of at least" in outcome.err
    none = bench_main("evaluate", folder, "--plugin", tiny_plugin, "--nets", "mvit,csn")
    assert none.code == 2
    assert "--nets: network 'mvit' needs clips of at least" in none.err
