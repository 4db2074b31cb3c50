"""``python -m bench run``: what it refuses, what it writes, and that the same command again runs nothing twice."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from bench.judging.protocols import wang2024 as protocol_wang2024
from bench.results.records import RecordStore
from bench.tables import published


@pytest.fixture
def run(bench_main, tiny_plugin, tmp_path):
    """Runs on the tiny dataset in this process, into ``tmp_path / "out"``; later options win over earlier ones."""

    def run(*options):
        return bench_main(
            "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise", "--out", tmp_path / "out",
            "--plain", *options,
        )  # fmt: skip

    return run


@pytest.fixture
def again(bench_main, finished, tmp_path):
    """Runs the finished run's command again in a copy of its folder; ``again.out`` is the copy."""
    folder, arguments, _ = finished
    out = tmp_path / "copy"
    shutil.copytree(folder, out)

    def again(*options):
        return bench_main(*arguments, "--out", out, "--plain", *options)

    again.out = out
    return again


def snapshot(folder):
    """Every file with its time of change."""
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def statuses(out):
    return {record.cell.method: record.status for record in RecordStore(out).all()}


# ----------------------------------------------------------------------------------------------------------------------
# What it refuses


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--methods randm", "unknown method 'randm'; did you mean random"),
        ("--methods ,", "--methods: none given (valid: all, "),
        ("--datasets shapes-mixd", "unknown dataset 'shapes-mixd'; did you mean shapes-mixed"),
        ("--datasets ,", "--datasets: none given (valid: "),
        ("--datasets tiny[train=x]", "--datasets tiny: train='x' is not int"),
        ("--datasets tiny[train", "cannot read 'tiny[train'"),
        ("--datasets folder:no/such/folder", "folder:no/such/folder: no such folder"),
        ("--datasets ucf101 --root no/such/folder", "no/such/folder"),
        ("--ipc 0", "--ipc: '0' must hold whole numbers of at least 1"),
        ("--ipc 1.5", "--ipc: '1.5' is not a whole number of at least 1"),
        ("--ipc=-1", "--ipc: '-1' is not a whole number"),
        ("--ipc x", "--ipc: 'x' is not a whole number"),
        ("--ipc 1000000000", "--ipc: 1,000,000,000 clips of each class; tiny has 15 training clips of all classes"),
        ("--ipc ,", "--ipc: none given (such as 1,5)"),
        ("--ipc 1-", "--ipc: '1-' is not a whole number"),
        ("--ipc 1,5-3", "--ipc: '5-3'"),
        ("--seeds=-1", "--seeds: '-1' is not a whole number"),
        ("--seeds one", "--seeds: 'one' is not a whole number"),
        ("--seeds 2-0", "--seeds: '2-0'"),
        ("--settings dens", "--settings: 'dens' is no temporal setting; valid: taxonomy, dense, keyframes-2"),
        ("--settings n9-r4-k1-nearest", "--settings: 'n9-r4-k1-nearest' does not fit clips of 4 frames"),
        ("--profile slow", "unknown profile 'slow' (valid: paper, quick"),
        ("--protocol wang2025", "unknown protocol 'wang2025'; did you mean wang2024"),
        ("--set dm.lr=1", "--set: dm is not among the methods to run (tiny-noise)"),
        ("--set tiny-noise.lr=1", "--set tiny-noise: no field 'lr'; fields: none"),
        ("--methods tiny-walk --set tiny-walk.steps=many", "--set tiny-walk: steps='many' is not int; fields: steps (int)"),
        ("--set lr=1", "--set: 'lr=1' is not METHOD.FIELD=VALUE"),
        ("--set dm.lr", "--set: 'dm.lr' is not METHOD.FIELD=VALUE"),
        ("--judge-on train", "argument --judge-on: invalid choice: 'train'"),
        ("--plugin no/such/file.py", "--plugin: no file 'no/such/file.py'"),
        ("--stand-in", "--stand-in: nothing can stand in for 'tiny'"),
        ("--device tpu", "--device: 'tpu' is no device (valid: auto, cpu, cuda, cuda:N)"),
        ("--device cpu:1", "--device: 'cpu:1' is no device"),
        ("--device cuda:x", "--device: 'cuda:x' is no device"),
        ("--device tpu --dry-run", "--device: 'tpu' is no device"),
        ("--jobs 0", "argument --jobs: '0' is not a whole number of at least 1"),
        ("--jobs two", "argument --jobs: 'two' is not a whole number"),
        ("--limit-minutes 0", "argument --limit-minutes: '0' is not a number of minutes above 0"),
        ("--limit-minutes soon", "argument --limit-minutes: 'soon' is not a number"),
        ("--limit-minutes nan", "argument --limit-minutes: 'nan' is not a number"),
        ("--limit-minutes inf", "argument --limit-minutes: 'inf' is not a number"),
        ("--limit-minutes 1e9", "argument --limit-minutes: '1e9' is not a number of minutes above 0 and of at most ten years"),
        ("--resolve 0", "argument --resolve: '0' is not a number of points above 0"),
        ("--resolve few", "argument --resolve: 'few' is not a number of points above 0"),
        ("--resolve 101", "argument --resolve: '101' is not a number of points above 0 and of at most 100"),
        ("--resolve 2 --no-controls", "--resolve: no pair to compare; add random to --methods, or a method that learns from a start"),
        ("--jobs 1000000000", "argument --jobs: '1000000000' is more than 10,000"),
        ("--seeds 0-999999999999", "--seeds: '0-999999999999' holds 1,000,000,000,000 numbers; at most 10,000 can be given"),
        ("--seeds 0-9999,10000", "--seeds: 10,001 numbers; at most 10,000 can be given"),
        ("--seeds " + "9" * 5000, "is not a whole number of at least 0"),
        ("--budget " + "9" * 400, "is not a number of bytes"),
        ("--budget 9e99GiB", "--budget: '9e99GiB' is not a number of bytes"),
        ("--methods " + "a," * 20_000, "--methods: a list of 20,000; at most 10,000 can be given"),
        ("--settings n" + "9" * 5000 + "-r1-k1-nearest", "is no temporal setting"),
        ("--device cuda:" + "9" * 5000, "is no device"),
        ("--out " + "a" * 300, "is no path: a name in it has 300 bytes (at most 255)"),
        ("--datasets folder:" + "a" * 300, "is no path: a name in it has 300 bytes (at most 255)"),
        ("--plugin " + "a" * 300, "is no path: a name in it has 300 bytes (at most 255)"),
        ("--out FILE --dry-run", "not a folder"),
        ("--resume maybe", "argument --resume: invalid choice: 'maybe'"),
        ("--out FILE", "--out "),
        ("--out FILE/below", "--out "),
        ("--no-such-option", "unrecognized arguments: --no-such-option"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(run, tmp_path, options, words):
    file = tmp_path / "file"
    file.write_text("not a folder")
    outcome = run(*(word.replace("FILE", str(file)) for word in options.split()))
    assert outcome.code == 2
    assert outcome.out == ""
    message = outcome.err.splitlines()[-1]
    assert re.match(r"(python -m bench.*: )?error: ", message)
    assert words in message
    assert outcome.err.count("error: ") == 1
    assert not (tmp_path / "out" / "cells").exists()
    assert file.read_text() == "not a folder"


def test_a_cuda_device_that_is_not_there_is_refused(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device is available here (valid: auto, cpu)" in run("--device", "cuda").err
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert "there is no cuda:2; 2 CUDA devices are available" in run("--device", "cuda:2").err
    assert "'cuda:' is no device" in run("--device", "cuda:").err


def test_a_process_of_its_own_says_the_same_without_a_traceback(bench_cli):
    outcome = bench_cli("run", "--methods", "randm")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: unknown method 'randm'; did you mean random")
    assert outcome.err.count("\n") == 1


def test_no_command_and_a_wrong_one_are_refused(bench_main):
    assert bench_main().code == 2
    assert "invalid choice: 'rum'" in bench_main("rum").err


# ----------------------------------------------------------------------------------------------------------------------
# A whole run


def test_a_run_writes_a_record_a_cell_and_prints_its_table(finished):
    out, _, outcome = finished
    assert outcome.code == 0, outcome.err
    assert statuses(out) == {"full": "ok", "random": "ok", "herding": "ok", "tiny-walk": "ok"}
    for name in ("full", "random", "herding", "tiny-walk"):
        assert any(line.startswith(name) for line in outcome.out.splitlines())
        assert f"{name} · tiny" in outcome.err
    assert "tiny · IPC 1 · dense · tiny · tiny/1 · convnet3d-small" in outcome.out
    assert "Traceback" not in outcome.err
    assert sorted(path.name for path in (out / "artefacts").iterdir()) == sorted(
        record.id for record in RecordStore(out).all() if record.cell.method != "full"
    )
    assert not (out / ".writable").exists()


def test_records_tell_no_path_and_no_name_of_machine_or_user(finished):
    out, _, _ = finished
    for record in RecordStore(out).all():
        assert record.provenance["dataset"] == record.provenance["protocol"] == "tiny_plugin.py"
        text = json.dumps(record.provenance) + json.dumps(record.data)
        assert "/home" not in text
        assert str(out) not in record.to_json()
        assert "hostname" not in text


def test_the_same_command_again_runs_nothing_and_prints_the_same(again, finished):
    before = snapshot(again.out)
    outcome = again()
    assert outcome.code == 0
    assert outcome.out == finished[2].out
    assert snapshot(again.out) == before


def test_the_table_command_prints_the_same(bench_main, again, finished):
    assert bench_main("table", "--out", again.out).out == finished[2].out


def test_published_figures_stand_beside_the_measured_ones(bench_main, again, monkeypatch):
    monkeypatch.setitem(published._DATASETS, ("Tiny", "-"), "tiny")
    line = "A paper,Tiny,-,1,Random,ConvNet3D-small,top1,12.3,,,first-hand,its table 1"
    (again.out / "published.csv").write_text(",".join(published.COLUMNS) + f"\n{line}\n", encoding="utf-8")
    outcome = again()
    assert "A paper: its table 1" in outcome.out
    (random,) = [row for row in outcome.out.splitlines() if row.startswith("random ")]
    assert " 12.3 [" in random
    assert bench_main("table", "--out", again.out).out == outcome.out


def test_a_published_file_that_is_not_valid_is_told_before_anything_runs(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "published.csv").write_text("a,b\n", encoding="utf-8")
    outcome = run()
    assert outcome.code == 2
    assert "published.csv: its first line is 'a,b'" in outcome.err.splitlines()[-1]
    assert not (tmp_path / "out" / "cells").exists()


def test_resume_always_runs_all_again_with_the_same_figures(again):
    old = {record.id: record for record in RecordStore(again.out).all()}
    before = snapshot(again.out / "cells")
    assert again("--resume", "always").code == 0
    after = snapshot(again.out / "cells")
    assert before.keys() == after.keys()
    assert all(after[path] > before[path] for path in before)
    for record in RecordStore(again.out).all():
        assert record.evaluations == old[record.id].evaluations
        assert record.history == old[record.id].history


def test_resume_never_runs_nothing(run, again, tmp_path):
    (next((again.out / "cells").glob("*.json"))).unlink()
    before = snapshot(again.out)
    assert again("--resume", "never").code == 0
    assert snapshot(again.out) == before
    assert run("--resume", "never").code == 0
    assert statuses(tmp_path / "out") == {}


@pytest.mark.parametrize("damage", ["truncated", "empty", "edited", "missing", "not UTF-8"])
def test_a_record_that_cannot_be_trusted_is_made_again_alone(again, damage):
    store = RecordStore(again.out)
    target = next(record for record in store.all() if record.cell.method == "random")
    path = store.path(target.id)
    text = path.read_text(encoding="utf-8")
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {
                "truncated": text[: len(text) // 2].encode(),
                "empty": b"",
                "edited": text.replace('"seed": 0', '"seed": 1').encode(),
                "not UTF-8": b"\xff" + text.encode(),
            }[damage]
        )
    before = snapshot(again.out / "cells")
    assert again().code == 0
    after = snapshot(again.out / "cells")
    aside = set() if damage == "missing" else {f"{path.name}.damaged"}
    assert {name.name for name in after if after[name] != before.get(name)} == {path.name} | aside
    assert store.read(target.id).evaluations == target.evaluations


def test_a_dry_run_writes_nothing(run, again, tmp_path):
    outcome = run("--dry-run", "--methods", "tiny-noise,tiny-walk", "--ipc", "1,2", "--settings", "dense,segments-2")
    assert outcome.code == 0
    assert not (tmp_path / "out").exists()
    lines = outcome.out.splitlines()
    assert sum(" tiny-noise " in line for line in lines) == 4
    assert sum("skip: tiny-walk cannot cut clips" in line for line in lines) == 2
    assert "8 cells, 8 to run" in outcome.out
    before = snapshot(again.out)
    assert "4 cells, 0 to run" in again("--dry-run").out
    assert "4 cells, 4 to run" in again("--dry-run", "--resume", "always").out
    assert snapshot(again.out) == before


def test_a_failed_cell_is_exit_code_1_and_run_again_only_if_asked(run, tmp_path):
    options = ["--methods", "tiny-broken,tiny-noise"]
    outcome = run(*options)
    assert outcome.code == 1
    assert statuses(tmp_path / "out") == {"tiny-broken": "failed", "tiny-noise": "ok"}
    assert "ValueError: two lines" in outcome.out
    before = snapshot(tmp_path / "out" / "cells")
    assert run(*options).code == 1
    assert snapshot(tmp_path / "out" / "cells") == before
    assert run(*options, "--resume", "failed").code == 1
    after = snapshot(tmp_path / "out" / "cells")
    assert sum(after[path] != before[path] for path in before) == 1


def test_a_declined_cell_is_a_skipped_row_and_no_failure(run, tmp_path):
    outcome = run("--methods", "tiny-noise,tiny-walk", "--settings", "static")
    assert outcome.code == 0
    assert statuses(tmp_path / "out") == {"tiny-noise": "skipped", "tiny-walk": "ok"}
    assert "tiny-noise stores whole clips only" in outcome.out


def test_a_time_limit_leaves_the_rest_for_later(run, tmp_path):
    outcome = run("--methods", "tiny-noise,tiny-walk", "--limit-minutes", "1e-9")
    assert outcome.code == 1
    assert "time limit of 1e-09 minutes reached; the same command goes on from here" in outcome.err
    assert set(statuses(tmp_path / "out").values()) <= {"timeout"}
    assert run("--methods", "tiny-noise,tiny-walk").code == 0
    assert statuses(tmp_path / "out") == {"tiny-noise": "ok", "tiny-walk": "ok"}


def test_a_time_limit_that_is_not_reached_changes_nothing(run):
    outcome = run("--limit-minutes", "30")
    assert outcome.code == 0
    assert "time limit" not in outcome.err


def test_a_stand_in_is_labelled_everywhere(run, bench_main, tmp_path):
    out = tmp_path / "out"
    outcome = run("--datasets", "tiny-declared", "--stand-in")
    assert outcome.code == 0, outcome.err
    (record,) = RecordStore(out).all()
    assert record.cell.dataset == "tiny-declared (stand-in)"
    assert (record.data["train"], record.data["test"], record.data["classes"]) == (9, 6, 3)
    for text in (outcome.out, outcome.err, bench_main("table", "--out", out, "--format", "csv").out):
        named = [line for line in text.splitlines() if "tiny-declared" in line]
        assert named
        assert all("stand-in" in line or "stand in" in line for line in named)
    dry = run("--datasets", "tiny-declared", "--stand-in", "--dry-run")
    assert "tiny-declared (stand-in)" in dry.out
    manifest = json.loads((out / "artefacts" / record.id / "manifest.json").read_text())
    assert manifest["cell"]["dataset"] == "tiny-declared (stand-in)"


def test_the_stand_in_is_another_cell_than_the_real_data(run, tmp_path):
    run("--datasets", "tiny-declared")
    run("--datasets", "tiny-declared", "--stand-in")
    assert len(list(RecordStore(tmp_path / "out").all())) == 2


def test_judging_on_validation_is_another_cell_and_says_so(run, tmp_path):
    outcome = run("--judge-on", "validation", "--datasets", "tiny[train=8]")
    assert outcome.code == 0, outcome.err
    (record,) = RecordStore(tmp_path / "out").all()
    assert record.cell.judged_on == "validation"
    assert record.data["train"] + record.data["test"] == 8 + 9 + 10
    assert "validation" in outcome.out


@pytest.mark.usefixtures("in_process")
def test_the_published_protocol_makes_other_cells_in_a_table_of_their_own(run, bench_main, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol_wang2024, "EPOCHS", 12)
    options = ["--methods", "random", "--datasets", "tiny[views=3]"]
    assert run(*options).code == 0
    outcome = run(*options, "--protocol", "wang2024")
    assert outcome.code == 0, outcome.err
    assert "[1/1]" in outcome.err
    records = {record.cell.protocol: record for record in RecordStore(tmp_path / "out").all()}
    assert set(records) == {"tiny/1", "wang2024/2"}
    found = records["wang2024/2"]
    assert found.cell.profile == "tiny"
    assert [entry.tested() for entry in found.evaluations] == [3 * 6] * 5
    for entry in found.evaluations:
        assert len(entry.checkpoints) == 10
        assert entry.checkpoints[-1] == entry.correct()
        assert 0 <= min(entry.probes.values()) <= max(entry.probes.values()) <= 18
    assert {entry.selection_inflation() for entry in records["tiny/1"].evaluations} == {None}
    tables = bench_main("table", "--out", tmp_path / "out").out
    assert tables.count("three passes pooled") == 1
    first, second = tables.split("tiny · IPC 1 · dense · tiny · wang2024/2")
    assert "selection inflation" not in first
    assert "selection inflation" in second


def test_ranges_repeats_and_lists_name_each_cell_once(run, tmp_path):
    options = ["--seeds", "0-2,1", "--ipc", "1,1", "--methods", "tiny-noise,tiny-noise", "--datasets", "tiny,tiny"]
    outcome = run("--dry-run", *options)
    assert "3 cells, 3 to run" in outcome.out


def test_a_broken_plugin_is_a_warning(run, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module\n")
    outcome = run("--plugin", broken, "--dry-run")
    assert outcome.code == 0
    assert "warning: plugin 'broken'" in outcome.err
    assert "No module named 'no_such_module'" in outcome.err
    assert run("--plugin", broken, "--methods", "broken").code == 2


# ----------------------------------------------------------------------------------------------------------------------
# Budgets in bytes


def test_bytes_are_an_axis_with_boards_of_their_own(bench_main, tiny_plugin, tmp_path):
    arguments = ["run", "--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--out", tmp_path / "out", "--plain"]
    methods = ["--methods", "full,random,tiny-noise,codec-h264"]
    assert bench_main(*arguments, "--methods", "full,random", "--ipc", "2").code == 0
    done = bench_main(*arguments, *methods, "--budget", "20KB,1MiB", "--storage", "float32,uint8")
    assert done.code == 0
    titles = [line for line in done.out.splitlines() if line.startswith("tiny-nearest · ")]
    assert [title.split(" · ")[1] for title in titles] == ["20 KB", "1 MiB"]
    assert "tiny-noise needs 36,864 bytes for one clip a class; the budget is 20,000 bytes" in done.out
    assert "stored as uint8: rendered clips are 0.0" in done.out
    everything = bench_main("table", "--out", tmp_path / "out")
    titles = [line for line in everything.out.splitlines() if line.startswith("tiny-nearest · ")]
    assert [title.split(" · ")[1] for title in titles] == ["IPC 2", "20 KB", "1 MiB"]
    by_ipc = everything.out.partition("tiny-nearest · 20 KB")[0]
    assert "codec" not in by_ipc
    assert "tiny-noise" not in by_ipc
    by_bytes = bench_main("table", "--by", "bytes", "--out", tmp_path / "out").out
    rows = [line.split() for line in by_bytes.splitlines()]
    assert ["random", "dense", "20", "KB", "2"] in [row[:5] for row in rows]
    assert ["random", "dense", "1", "MiB", "5"] in [row[:5] for row in rows]  # 4, 5 and 6 clips: all there are
    assert ["random", "dense", "2"] in [row[:3] for row in rows]
    again = bench_main(*arguments, *methods, "--budget", "20KB,1MiB", "--storage", "float32,uint8")
    assert "0 to run" in again.err


def test_all_methods_of_a_byte_budget_are_those_of_a_leaderboard_and_the_codecs(bench_main, tiny_plugin):
    in_bytes = bench_main("run", "--dry-run", "--plugin", tiny_plugin, "--datasets", "tiny", "--budget", "1MiB").out
    in_clips = bench_main("run", "--dry-run", "--plugin", tiny_plugin, "--datasets", "tiny").out
    assert "codec-h264" in in_bytes
    assert "codec-av1" in in_bytes
    assert "codec-" not in in_clips
    assert "random-frozen" not in in_bytes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--budget", "1MiB", "--ipc", "1"], "--budget: --ipc is given too"),
        (["--budget", "much"], "--budget: 'much' is not a number of bytes"),
        (["--budget", ","], "--budget: none given"),
        (["--storage", "int4"], "--storage: 'int4' is no storage codec (valid: float32, float16, uint8)"),
    ],
)
def test_a_budget_that_makes_no_sense_ends_in_a_sentence(bench_main, arguments, sentence):
    done = bench_main("run", "--dry-run", *arguments)
    assert (done.code, sentence in done.err) == (2, True)
    assert "Traceback" not in done.err


# ----------------------------------------------------------------------------------------------------------------------
# Several networks


def test_networks_share_a_set_that_two_workers_distil_once(bench_main, tiny_plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_PAUSE", "0.1")
    out = tmp_path / "out"
    command = ["run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-walk", "--out", out]
    outcome = bench_main(*command, "--nets", "cnn-mean-small,cnn-gru", "--jobs", "2")
    assert outcome.code == 0, outcome.err
    records = list(RecordStore(out).all())
    assert {record.cell.evaluation_network for record in records} == {"cnn-mean-small", "cnn-gru"}
    assert sorted(record.costs["distil"].shared for record in records) == [False, True]
    assert [path.name for path in (out / "artefacts").iterdir()] == [records[0].set.artefact]
    assert list((out / "checkpoints").iterdir()) == []
    titles = [line for line in outcome.out.splitlines() if line.startswith("tiny · IPC 1")]
    assert [title.rpartition(" · ")[2] for title in titles] == [
        "cnn-gru (distilled with convnet3d-small)", "cnn-mean-small (distilled with convnet3d-small)",
    ]  # fmt: skip


def test_a_run_says_once_which_values_are_borrowed(run):
    outcome = run("--dry-run", "--profile", "paper", "--methods", "dm,random", "--ipc", "1,5", "--seeds", "0,1")
    told = [line for line in outcome.err.splitlines() if "published" in line]
    assert told == [
        f"dm: lr=30 was published for miniucf at IPC 1; for tiny at IPC {ipc} nothing was" for ipc in (1, 5)
    ]
    assert "published" not in run("--dry-run", "--profile", "quick", "--methods", "dm").err


def test_the_plan_says_which_network_judges_and_counts_a_set_once(run):
    outcome = run("--dry-run", "--nets", "convnet3d-small,cnn-gru,mvit")
    lines = [line for line in outcome.out.splitlines() if " tiny-noise " in line]
    assert ["judged by cnn-gru" in line for line in lines] == [False, True, False]
    assert "judged by mvit" in lines[2]
    assert "skip: network 'mvit' needs clips of at least" in lines[2]
    sizes = [
        next(part for part in said.out.splitlines()[-1].split(", ") if part.endswith(" MiB of sets"))
        for said in (outcome, run("--dry-run"))
    ]
    assert sizes[0] == sizes[1]


def test_networks_across_and_all_of_them(bench_main, run, tmp_path):
    assert run("--nets", "all", "--dry-run").out.count("judged by") >= 9
    assert run("--nets", "convnet3d-small,cnn-mean-small").code == 0
    table = bench_main("table", "--by", "nets", "--out", tmp_path / "out").out.splitlines()
    assert table[0] == "across networks · tiny · IPC 1 · dense · tiny · tiny/1"
    assert table[2].split()[-2:] == ["convnet3d-small", "cnn-mean-small"]
    bench_main("table", "--write", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "tables" / "nets.md").read_text(encoding="utf-8").startswith("# Across networks\n")
    assert bench_main("table", "--check", "--out", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    ("nets", "words"),
    [("cnn-gr", "unknown network 'cnn-gr'; did you mean cnn-gru"), (",", "--nets: none given (valid: all, convnet3d")],
)
def test_unknown_networks_are_refused_in_a_sentence(run, nets, words):
    outcome = run("--nets", nets)
    assert outcome.code == 2
    assert words in outcome.err


def test_data_that_differ_in_options_alone_are_told_apart_everywhere(bench_main, run, tmp_path):
    words = ("--datasets", "tiny,tiny[train=2]", "--settings", "dense,keyframes-2")
    planned = [line.split() for line in run(*words, "--dry-run").out.splitlines() if " tiny-noise " in line]
    named = [("tiny", "dense"), ("tiny", "keyframes-2"), ("tiny[train=2]", "dense"), ("tiny[train=2]", "keyframes-2")]
    assert [(line[2], line[4]) for line in planned] == named
    outcome = run(*words)
    assert " tiny-noise · tiny[train=2] · ipc 1 · seed 0: ok" in outcome.err
    assert {"tiny", "tiny[train=2]"} == {
        line.partition(" · ")[0] for line in outcome.out.splitlines() if " · IPC 1 · dense · " in line
    }
    assert (
        "tiny-noise · tiny[train=2] · ipc 1 · seed 0"
        in bench_main("status", planned[2][0], "--out", tmp_path / "out").out
    )
    by_bytes = bench_main("table", "--by", "bytes", "--out", tmp_path / "out").out
    titles = [line.partition(" · ")[0] for line in by_bytes.splitlines() if " · by bytes · " in line]
    assert sorted(titles) == ["tiny", "tiny[train=2]"]
