"""What goes wrong around a run: full disks, folders that cannot be written, files cut short, clocks that jump."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import os
import time
from pathlib import Path

import pytest

import bench.running.cell.checkpoints
from bench.core.reporter import Reporter
from bench.core.signals import Stopped
from bench.results.records import RecordStore
from bench.running.cell.cell import run_cell
from bench.running.engines.engine import Order, Run, stamp
from bench.running.engines.events import CellFinished, CellLog
from bench.running.engines.one_cell import run_claimed


@pytest.fixture
def full_disk(monkeypatch):
    """``full_disk("checkpoints")``: nothing more can be written below folders of that name."""
    replace = os.replace
    full: set[str] = set()

    def replacing(source, target, *rest, **more):
        if full & set(Path(target).parts):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target, *rest, **more)

    monkeypatch.setattr(os, "replace", replacing)
    return lambda *names: full.clear() or full.update(names)


@pytest.fixture
def unbroken(plan, registries, context, reporter):
    """The record of an unbroken run of one cell."""
    (planned,) = plan("tiny-walk")
    return run_cell(planned, registries, dataclasses.replace(context, out=context.out / "unbroken"), reporter)


def same(record, expected):
    names = ("status", "reason", "evaluations", "history", "set", "data", "motion")
    return [name for name in names if getattr(record, name) != getattr(expected, name)] == []


def run_here(cells, registries, context, emit):
    """Runs cells one after another in this process."""
    for planned in cells:
        run_claimed(Order(planned, stamp(None)), registries, Run((), context), emit)


def carried_out(cells, registries, context):
    """The lines and the final records that an engine tells of."""
    events = []
    run_here(cells, registries, context, events.append)
    lines = [event.message for event in events if isinstance(event, CellLog)]
    return lines, [event.record for event in events if isinstance(event, CellFinished)]


# ----------------------------------------------------------------------------------------------------------------------
# Disks and folders


def test_without_room_for_checkpoints_a_cell_goes_on_and_says_so_once(
    plan, registries, context, unbroken, full_disk, monkeypatch
):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    full_disk("checkpoints")
    (planned,) = plan("tiny-walk")
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert same(record, unbroken)
    assert any(line.endswith("distil.safetensors (No space left on device); going on without") for line in lines)
    assert len(lines) == len(set(lines)) == 5  # two states, the set, finished networks of two phases
    assert not list(context.out.rglob("*.safetensors.*"))


@pytest.mark.parametrize("folder", ["artefacts", "test-clips"])
def test_without_room_for_results_a_cell_fails_in_a_sentence(plan, registries, context, reporter, full_disk, folder):
    full_disk(folder)
    (planned,) = plan("tiny-walk")
    record = run_cell(planned, registries, context, reporter)
    assert record.status == "failed"
    assert record.reason.endswith(": No space left on device")
    assert folder in record.reason
    assert not [path for path in (context.out / folder).rglob("*") if path.is_file()]


def test_without_room_for_a_record_the_other_cells_go_on_and_nothing_is_lost(plan, registries, context, full_disk):
    cells = plan("tiny-noise", "tiny-walk")
    first = cells[0].cell.id()
    full_disk(f"{first}.json")
    _, records = carried_out(cells, registries, context)
    assert [record.status for record in records] == ["failed", "ok"]
    assert records[0].reason == f"--out {context.out}: cannot write the record {first[:12]}: No space left on device"
    store = RecordStore(context.out)
    assert [record.id for record in store.all()] == [cells[1].cell.id()]
    full_disk()  # room again
    events = []
    run_here(cells[:1], registries, context, events.append)
    assert not any(getattr(event, "phase", "") in ("distil", "evaluate") for event in events)  # all of it was kept
    assert store.read(first).status == "ok"
    assert not (context.out / "checkpoints" / first).exists()


@pytest.mark.parametrize(
    ("blocked", "code", "words"),
    [
        ("out", 2, "--out "),
        ("out/cells", 1, "cannot write the record"),
        ("out/artefacts", 1, "artefacts"),
        ("out/checkpoints", 1, "checkpoints"),
        ("out/test-clips", 1, "test-clips"),
        ("cache", 2, "BENCH_CACHE: "),
    ],
)
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, bench_main, tiny_plugin, monkeypatch, blocked, code, words):
    """As good as a folder without permission: what lies below it cannot be written, also by root."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")
    outcome = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise", "--out", tmp_path / "out"
    )
    assert outcome.code == code, outcome.err
    assert words in outcome.err + outcome.out
    assert path.read_text() == "in the way"


@pytest.mark.skipif(os.name != "posix", reason="limits of the size of a file are POSIX's")
def test_a_file_that_may_not_grow_fails_its_cell_only(tmp_path, tiny_plugin, bench_main):
    """A true limit of the system: sets of 36,864 bytes cannot be archived, coresets of a quarter of that can."""
    limited = tmp_path / "limited.py"
    limited.write_text(
        Path(tiny_plugin).read_text(encoding="utf-8") + "\nimport multiprocessing, resource\n"
        "if multiprocessing.parent_process() is not None:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))\n"
    )
    done = bench_main(
        "run", "--plugin", limited, "--datasets", "tiny", "--methods", "tiny-noise,random",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    found = {record.cell.method: record for record in RecordStore(tmp_path / "out").all()}
    assert {name: record.status for name, record in found.items()} == {"random": "ok", "tiny-noise": "failed"}
    assert found["tiny-noise"].reason.endswith("memory.safetensors: File too large")


# ----------------------------------------------------------------------------------------------------------------------
# Files cut short


def test_a_damaged_record_is_set_aside_and_its_cell_run_again(tmp_path, bench_main, tiny_plugin):
    arguments = [
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise,tiny-walk", "--out", tmp_path
    ]  # fmt: skip
    assert bench_main(*arguments).code == 0
    store = RecordStore(tmp_path)
    before = {record.id: record for record in store.all()}
    one, other = sorted(before)
    store.path(one).write_bytes(store.path(one).read_bytes()[:900])
    dry = bench_main(*arguments, "--dry-run")
    assert dry.code == 0
    assert store.path(one).stat().st_size == 900  # a plan changes nothing
    told = bench_main("table", "--out", tmp_path)
    assert (told.code, f"warning: record left out: {one}.json: not a record" in told.err) == (0, True)
    again = bench_main(*arguments)
    assert again.code == 0
    assert f"warning: record {one}.json cannot be trusted (not a record: DecodeError" in again.err
    assert f"it is now {one}.json.damaged" in again.err
    after = {record.id: record for record in store.all()}
    assert same(after[one], before[one])
    assert after[other] == before[other]  # not run again
    assert store.path(one).with_name(f"{one}.json.damaged").stat().st_size == 900


def test_a_damaged_store_of_clips_is_named_and_built_again(plan, registries, context, unbroken):
    (pixels,) = (context.cache / "clips").rglob("clips.npy")
    pixels.write_bytes(pixels.read_bytes()[:-1000])
    (planned,) = plan("tiny-walk")
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert same(record, unbroken)
    assert len(lines) == 1
    assert lines[0].startswith(f"clip store {pixels.parent} is damaged (")


def test_a_damaged_artefact_of_upstream_is_named_and_made_again(plan, registries, context, reporter):
    (planned,) = plan("herding")
    expected = run_cell(planned, registries, context, reporter)
    (part,) = (context.cache / "upstream").rglob("000.safetensors")
    part.write_bytes(part.read_bytes()[:-1])
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert record.evaluations == expected.evaluations
    assert f"{part} is damaged; it is now 000.safetensors.damaged, and is made again" in lines
    assert not record.costs["upstream"].shared


@pytest.mark.parametrize("file", ["memory.safetensors", "manifest.json", "evaluations.json"])
def test_what_a_broken_cell_left_is_named_if_it_is_damaged(plan, registries, context, unbroken, file):
    (planned,) = plan("tiny-walk")

    def stop(phase, step, total, loss):
        if (phase, step) == ("evaluate", 8):
            raise Stopped

    with pytest.raises(Stopped):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    (path,) = context.out.glob(f"*/{planned.cell.id()}/{file}")
    path.write_bytes(path.read_bytes()[:20])
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert same(record, unbroken)
    assert len(lines) == 1
    assert str(path) in lines[0] or (str(path.parent) in lines[0] and file in lines[0])
    assert ".damaged" in lines[0]


def test_a_damaged_list_of_test_clips_is_written_again(plan, registries, context, unbroken, reporter):
    (planned,) = plan("tiny-walk")
    first = run_cell(planned, registries, context, reporter)
    (path,) = (context.out / "test-clips").iterdir()
    whole = path.read_text()
    path.write_text(whole[:30])
    assert same(run_cell(planned, registries, context, reporter), first)
    assert path.read_text() == whole


def test_files_left_half_written_by_killed_processes_do_not_pile_up(plan, registries, context, reporter, monkeypatch):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (planned,) = plan("tiny-walk")
    folder = context.out / "checkpoints" / planned.cell.id()
    left = context.out / "artefacts" / f".{planned.cell.id()[:16]}.abcd"
    for path in (folder, left):
        path.mkdir(parents=True)
    for name in (".distil.safetensors.0a", ".distil.safetensors.0b", ".training.safetensors.0c"):
        (folder / name).write_bytes(b"x")
    seen = []

    def look(phase, step, total, loss):
        if (phase, step) == ("evaluate", 3):
            seen.extend(path.name for path in folder.iterdir())

    run_cell(planned, registries, context, Reporter(look, lambda _: None))
    assert sorted(seen) == ["distil.safetensors", "distilled.json", "training.safetensors"]
    assert [path.name for path in (context.out / "artefacts").iterdir()] == [planned.cell.id()]


# ----------------------------------------------------------------------------------------------------------------------
# Clocks


@pytest.mark.parametrize("day", [-86_400, 86_400])
def test_a_clock_that_jumps_changes_no_duration_and_no_limit(plan, registries, context, unbroken, monkeypatch, day):
    clock = itertools.count(2_000_000_000, day)
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    (planned,) = plan("tiny-walk")
    run = Run((), context, deadline=time.monotonic() + 3600, timeout=3600.0)
    events = []
    assert run_claimed(Order(planned, stamp(None)), registries, run, events.append) is None
    record = events[-1].record
    assert same(record, unbroken)
    assert abs(next(clock) - 2_000_000_000) > 86_400  # it was asked
    for cost in record.costs.values():
        assert 0 < cost.wall_seconds < 100
        assert 0 <= cost.device_seconds < 100
    assert json.loads(record.to_json())["costs"]["distil"]["wall_seconds"] > 0
