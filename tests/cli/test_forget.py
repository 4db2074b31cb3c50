"""``python -m bench forget``: what is shown, what is removed, and what stays."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bench.results.cells import Cell
from bench.results.claims import Claims
from bench.results.records import Record, RecordStore, SetReport, StoredTensor

PLUGIN = """
from bench.api import Method, NoOptions
from bench.distill.real_start import coreset, random_choice
import helper_of_forget

class Mine(Method[NoOptions]):
    \"\"\"Some clips.\"\"\"
    name = "mine"
    def distill(self, task): return coreset(task, random_choice(task))
    def stored_bytes(self, work): return work.classes * work.ipc * work.clip.values() + helper_of_forget.EXTRA
    def clip_passes(self, work): return 0.0
"""

CELL = Cell(
    method="dm", version=1, config={"lr": 3.0, "steps": 300}, dataset="d", fingerprint="f" * 64,
    geometry={"frames": 8, "gap": 8, "scale": 32, "size": 32, "views": 1}, profile="quick", network="convnet3d-small",
    protocol="quick/1", ipc=1, setting="n8-r8-k1-nearest", seed=0,
)  # fmt: skip


@pytest.fixture
def out(tmp_path):
    """A folder of results; ``out(cell, ...)`` adds records with a set and a checkpoint each."""

    def add(*cells, tuning=None):
        for cell in cells:
            artefact = cell.distillation().id()
            report = SetReport("dense", 3, 4, 4, {"pixels": StoredTensor((1,), "float32", 4)}, artefact)
            record = Record(cell, "ok", set=report, tuning=tuning)
            RecordStore(tmp_path).write(record)
            for folder in (tmp_path / "artefacts" / artefact, tmp_path / "checkpoints" / cell.id()):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "file").write_bytes(bytes(2**19))
        return tmp_path

    return add


def left(out):
    """What is there, by kind: methods with their versions, and numbers of sets and checkpoints."""
    records = sorted((record.cell.method, record.cell.version) for record in RecordStore(out).all())
    return records, len(list((out / "artefacts").iterdir())), len(list((out / "checkpoints").iterdir()))


def test_earlier_versions_are_shown_first_and_removed_when_told(bench_main, out):
    old = dataclasses.replace(CELL, version=0)
    folder = out(CELL, old)
    shown = bench_main("forget", "--out", folder)
    assert shown.code == 0
    assert f"{old.id()[:12]}  {old.title()}: version 0 of dm, which is now 1" in shown.out
    assert "1 record, 1 stored set and 1 folder of checkpoints, 1.00 MiB" in shown.out
    assert "nothing was removed" in shown.out
    assert left(folder) == ([("dm", 0), ("dm", 1)], 2, 2)
    assert bench_main("forget", "--out", folder, "--yes").out.endswith("removed\n")
    assert left(folder) == ([("dm", 1)], 1, 1)
    assert "0 records" in bench_main("forget", "--out", folder, "--yes").out


def test_an_earlier_version_of_a_protocol_goes_too(bench_main, out):
    folder = out(dataclasses.replace(CELL, protocol="quick/0"))
    assert "version 0 of protocol quick, which is now 1" in bench_main("forget", "--out", folder, "--yes").out
    assert left(folder) == ([], 0, 0)


def test_a_set_stays_while_another_record_uses_it(bench_main, out):
    judged_elsewhere = dataclasses.replace(CELL, evaluation_network="cnn-mean-small")
    folder = out(CELL, judged_elsewhere)
    assert left(folder) == ([("dm", 1), ("dm", 1)], 1, 2)
    RecordStore(folder).path(CELL.id()).unlink()
    bench_main("forget", "--out", folder, "--set", "dm.lr=3", "--methods", "random", "--yes")
    assert left(folder)[1] == 1
    assert "1 stored set" in bench_main("forget", "--out", folder, "--set", "dm.lr=3", "--yes").out
    assert left(folder)[:2] == ([], 0)


@pytest.mark.parametrize(
    ("settings", "gone"),
    [
        (("dm.lr=3",), True),
        (("dm.lr=3.0", "dm.steps=300"), True),
        (("dm.lr=3", "dm.steps=1"), False),
        (("dc.lr=3",), False),
    ],
)
def test_tried_settings_go_where_all_of_them_hold(bench_main, out, settings, gone):
    folder = out(CELL)
    bench_main("forget", "--out", folder, "--yes", *(word for text in settings for word in ("--set", text)))
    assert (left(folder)[0] == []) is gone


def test_trials_of_a_finished_search_go_when_asked_for(bench_main, out):
    trial = dataclasses.replace(CELL, judged_on="validation", config={"lr": 9.0, "steps": 300})
    folder = out(trial)
    out(CELL, tuning={"trials": [{"cell": trial.id()}, {"cell": None}]})
    assert "0 records" in bench_main("forget", "--out", folder).out
    assert "a trial of a finished search" in bench_main("forget", "--out", folder, "--trials", "--yes").out
    assert [record.cell for record in RecordStore(folder).all()] == [CELL]


def test_a_cell_that_is_under_way_is_left_alone(bench_main, out):
    old = dataclasses.replace(CELL, version=0)
    folder = out(old)
    claim = Claims(folder).take(old.id(), "old")
    assert claim is not None
    assert "0 records, 0 stored sets" in bench_main("forget", "--out", folder, "--yes").out
    assert left(folder) == ([("dm", 0)], 1, 1)


def test_other_methods_sets_stay_where_methods_are_named(bench_main, out):
    folder = out(CELL)
    lost = folder / "artefacts" / ("0" * 64)
    lost.mkdir()
    old = dataclasses.replace(CELL, method="dc", version=0)
    (lost / "manifest.json").write_text(json.dumps({"cell": dataclasses.asdict(old)}))
    bench_main("forget", "--out", folder, "--methods", "dm", "--yes")
    assert lost.exists()


def test_methods_that_are_not_loaded_are_named(bench_main, out):
    mine = dataclasses.replace(CELL, method="mine", plugins={"method": "a" * 64})
    folder = out(CELL, mine)
    outcome = bench_main("forget", "--out", folder, "--yes")
    assert "not looked at, as no such method is loaded: mine; name its file with --plugin" in outcome.out
    assert left(folder)[0] == [("dm", 1), ("mine", 1)]


def test_a_set_of_an_earlier_version_without_a_record_goes(bench_main, out):
    folder = out(CELL)
    lost = folder / "artefacts" / ("0" * 64)
    lost.mkdir()
    (lost / "manifest.json").write_text(json.dumps({"cell": dataclasses.asdict(dataclasses.replace(CELL, version=0))}))
    assert "0 records, 1 stored set " in bench_main("forget", "--out", folder, "--yes").out
    assert left(folder)[1] == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--set", "dm.lr"), "--set: 'dm.lr' is not METHOD.FIELD=VALUE, such as dm.lr=30"),
        (("--out", "nowhere"), "--out nowhere: not a folder of results: it has no 'cells'"),
        (("--set", "dm.lrr=3"), "--set dm: no field 'lrr'; fields: batch_real, lr, momentum, steps"),
        (("--set", "dc.lr=3", "--methods", "dm"), "--set: dc is not among --methods (dm)"),
    ],
)
def test_what_cannot_be_meant_is_refused(bench_main, out, words, sentence):
    outcome = bench_main("forget", "--out", out(CELL), *words)
    assert (outcome.code, outcome.err) == (2, f"error: {sentence}\n")


@pytest.mark.parametrize("words", [("--methods", "dmm"), ("--methods", "dm,dmm"), ("--set", "dmm.lr=3")])
def test_names_that_match_nothing_are_refused(bench_main, out, words):
    folder = out(CELL, dataclasses.replace(CELL, method="gone", config={"a": 1}))
    outcome = bench_main("forget", "--out", folder, *words, "--yes")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {words[0]}: no record of 'dmm' (valid: codec-av1, ")
    assert ", full, gone, herding, " in outcome.err
    assert bench_main("forget", "--out", folder, "--set", "gone.a=1").code == 0  # not loaded, but in a record
    assert bench_main("forget", "--out", folder, "--methods", ",").code == 2


def test_a_plugin_that_cannot_be_loaded_is_told(bench_main, out, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_there")
    outcome = bench_main("forget", "--out", out(CELL), "--plugin", tmp_path / "broken.py")
    assert outcome.code == 0
    assert outcome.err.startswith(
        "warning: plugin 'broken' is unavailable: ModuleNotFoundError: No module named 'nothing_there'"
    )


def test_a_changed_helper_of_a_plugin_runs_again_and_what_it_made_before_can_be_forgotten(
    bench_cli, tiny_plugin, tmp_path
):
    """The helper lies beside the plugin, in the folder where the user works."""
    out = tmp_path / "out"
    (tmp_path / "mine.py").write_text(PLUGIN)
    words = ("--plugin", "mine.py", "--plugin", tiny_plugin)
    command = ("run", *words, "--datasets", "tiny", "--methods", "mine", "--out", out)

    def dry_run(text):
        (tmp_path / "helper_of_forget.py").write_text(text)
        return bench_cli(*command, "--dry-run", cwd=tmp_path).out

    assert "1 cell, 1 to run" in dry_run("EXTRA = 0\n")
    assert bench_cli(*command, cwd=tmp_path).code == 0
    assert "1 cell, 0 to run" in dry_run('"""Extra bytes."""\nEXTRA = 0  # none\n')
    assert "1 cell, 1 to run" in dry_run("EXTRA = 0 + 0\n")
    shown = bench_cli("forget", *words, "--out", out, "--yes", cwd=tmp_path)
    assert "an earlier source of method mine" in shown.out
    assert list(RecordStore(out).all()) == []
