"""The local engine: one process or several, the same records; what dies costs only its own cell."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.core.signals import Stopped
from bench.results.records import RecordStore
from bench.running.engines.engine import Order, Run, stamp
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted
from bench.running.engines.local import Local
from tests.in_process import InProcess


@pytest.fixture
def engine(registries, tiny_plugin, context):
    """Runs cells, without jobs in this process; returns the events."""

    def run(cells, jobs=0, emit=None, where=context, **limits):
        events = []
        store = RecordStore(where.out)
        orders = [Order(planned, stamp(store.read(planned.cell.id()))) for planned in cells]
        (Local(jobs) if jobs else InProcess()).run(orders, Run((tiny_plugin,), where, **limits), emit or events.append)
        return events

    return run


def records(context):
    return {record.cell.method: record for record in RecordStore(context.out).all()}


def is_of_multiprocessing(process):
    """Whether it is the resource tracker or a fork server, which live as long as this process, by design."""
    try:
        line = " ".join(process.cmdline())
        return "resource_tracker" in line or ("forkserver" in line and process.ppid() == os.getpid())
    except psutil.Error:  # it is ending just now
        return False


@pytest.fixture
def no_process_left():
    """After the test none of its processes runs."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    left = [process for process in left if not is_of_multiprocessing(process)]
    _, alive = psutil.wait_procs(left, timeout=30)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)
    assert alive == []


def test_each_cell_starts_progresses_and_finishes_with_its_record_written(engine, plan, context):
    cells = plan("tiny-walk", "tiny-noise")
    stored = []

    def emit(event):
        events.append(event)
        if isinstance(event, CellFinished):
            stored.append(RecordStore(context.out).read(event.record.id) == event.record)

    events = []
    engine(cells, emit=emit)
    assert stored == [True, True]
    walk = [event for event in events if getattr(event, "cell_id", None) == cells[0].cell.id()]
    assert walk[0] == CellStarted(cells[0].cell.id(), "tiny-walk · tiny · ipc 1 · seed 0")
    steps = [(event.phase, event.step, event.total) for event in walk if isinstance(event, CellProgress)]
    assert [step for step in steps if step[0] == "distil"] == [("distil", step, 6) for step in range(1, 7)]
    assert [step for step in steps if step[0] == "evaluate"] == [("evaluate", step, 12) for step in range(1, 13)]
    assert [type(event).__name__ for event in events].count("CellFinished") == 2


def test_a_failed_cell_stops_no_other(engine, plan, context):
    engine(plan("tiny-broken", "tiny-noise"))
    assert {name: record.status for name, record in records(context).items()} == {
        "tiny-broken": "failed", "tiny-noise": "ok",
    }  # fmt: skip


def test_no_cell_starts_after_the_deadline(engine, plan, context):
    assert engine(plan("tiny-noise", "tiny-walk"), deadline=time.monotonic() - 1) == []
    assert engine(plan("tiny-noise", "tiny-walk"), jobs=2, deadline=time.monotonic() - 1) == []
    assert records(context) == {}


@pytest.mark.parametrize("phase", ["distil", "evaluate"])
def test_an_interrupted_cell_is_recorded_and_ends_like_an_unbroken_one(engine, plan, context, phase):
    cells = plan("tiny-walk", "tiny-noise")
    unbroken = dataclasses.replace(context, out=context.out.with_name("unbroken"))
    engine(cells, where=unbroken)

    def interrupt(event):
        if isinstance(event, CellProgress) and (event.phase, event.step) == (phase, 5):
            raise Stopped

    with pytest.raises(KeyboardInterrupt):
        engine(cells, emit=interrupt)
    assert {name: record.status for name, record in records(context).items()} == {"tiny-walk": "interrupted"}
    assert records(context)["tiny-walk"].reason == "stopped by the user; run the same command again to go on"
    engine(cells)
    for name, record in records(unbroken).items():
        assert record.status == "ok"
        assert records(context)[name].evaluations == record.evaluations


def test_a_cell_that_is_stopped_when_its_record_is_written_keeps_it(engine, plan, context, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.running.cell.cell.clear", stopped)
    cells = plan("tiny-noise")
    for _ in range(2):  # the second time as with --resume always
        with pytest.raises(KeyboardInterrupt):
            engine(cells)
        assert {name: record.status for name, record in records(context).items()} == {"tiny-noise": "ok"}


@pytest.mark.usefixtures("no_process_left")
def test_several_jobs_give_the_same_figures_and_a_killed_worker_costs_only_its_cell(engine, plan, context):
    names = ("tiny-broken", "tiny-walk", "herding", "tiny-noise")
    cells = plan(*names, overrides={"tiny-broken": {"how": "kill"}})
    alone = dataclasses.replace(context, out=context.out.with_name("alone"))
    engine(cells[1:], where=alone)
    events = engine(cells, jobs=2, attempts=2)
    found = records(context)
    assert set(found) == set(names)
    assert (found["tiny-broken"].status, found["tiny-broken"].reason) == (
        "failed", "its worker process died 2 times (SIGKILL; the system may have run out of memory)",
    )  # fmt: skip
    for name, record in records(alone).items():
        assert found[name].evaluations == record.evaluations
        assert found[name].set == record.set
        assert found[name].history == record.history
    finished = [event.record.cell.method for event in events if isinstance(event, CellFinished)]
    assert sorted(finished) == sorted(names)


@pytest.mark.usefixtures("no_process_left")
def test_what_a_cell_dies_of_by_default_ends_neither_the_run_nor_the_other_cells(bench_main, tiny_plugin, tmp_path):
    told = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-broken,tiny-noise", "--attempts", "1",
        "--set", "tiny-broken.how=kill", "--out", tmp_path,
    )  # fmt: skip
    assert told.code == 1, told.err
    found = {record.cell.method: record for record in RecordStore(tmp_path).all()}
    assert {name: record.status for name, record in found.items()} == {"tiny-broken": "failed", "tiny-noise": "ok"}
    assert found["tiny-broken"].reason == "its worker process died (SIGKILL; the system may have run out of memory)"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server")
@pytest.mark.usefixtures("no_process_left")
def test_a_fork_server_that_is_killed_costs_nothing(engine, plan, context, monkeypatch):
    monkeypatch.setenv("TINY_PAUSE", "0.1")
    (cell,) = plan("tiny-walk")
    killed = []

    def emit(event):
        events.append(event)
        if isinstance(event, CellProgress) and not killed:
            servers = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
            killed.extend(servers)
            for server in servers:
                server.kill()

    events = []
    engine([cell], jobs=1, emit=emit)
    assert len(killed) == 1
    told = [event.message for event in events if isinstance(event, CellLog)]
    assert told[0] == "its worker process died (the process that it was forked from died); trying it again"
    assert records(context)["tiny-walk"].status == "ok"
    assert [type(event) for event in events].count(CellFinished) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server")
@pytest.mark.usefixtures("no_process_left")
def test_a_cell_is_recorded_as_interrupted_though_its_server_is_ended_with_it(engine, plan, context, monkeypatch):
    """As whoever stops a job ends all of its processes."""
    monkeypatch.setenv("TINY_PAUSE", "0.2")

    def emit(event):
        if isinstance(event, CellProgress):
            for child in psutil.Process().children():
                if "forkserver" in " ".join(child.cmdline()):
                    child.kill()
                    while child.status() != psutil.STATUS_ZOMBIE:  # to wait for it is for multiprocessing alone
                        time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(plan("tiny-walk"), jobs=1, emit=emit)
    assert records(context)["tiny-walk"].status == "interrupted"


def test_worker_processes_that_cannot_start_end_the_run_in_a_sentence(tiny_plugin, tmp_path, finished):
    """A script whose calls are not guarded, and whose clips are decoded already."""
    script = tmp_path / "script.py"
    script.write_text(
        "from bench.notebook import run\n"
        f"run(plugin={tiny_plugin!r}, datasets='tiny', methods='tiny-noise', out={str(tmp_path / 'out')!r})\n"
    )
    assert finished[2].code == 0
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "BenchError: worker processes cannot be started here; a script needs its calls below if" in done.stderr
    assert list(RecordStore(tmp_path / "out").all()) == []


@pytest.mark.usefixtures("no_process_left")
def test_an_error_in_the_driver_leaves_no_worker_behind(engine, plan, monkeypatch):
    monkeypatch.setenv("TINY_PAUSE", "0.2")

    def broken(event):
        if isinstance(event, CellProgress):
            raise OSError("the terminal went away")

    with pytest.raises(OSError, match="the terminal went away"):
        engine(plan("tiny-walk", seeds=(0, 1, 2)), jobs=2, emit=broken)


# ----------------------------------------------------------------------------------------------------------------------
# A whole run, killed and stopped


@pytest.mark.usefixtures("interruptible")
def test_a_run_that_is_killed_and_stopped_ends_like_an_unbroken_one_and_leaves_no_process(
    context, tiny_plugin, tmp_path, bench_main, monkeypatch
):
    hasty = tmp_path / "hasty.py"  # a checkpoint each step
    every = "from bench.running.cell import checkpoints\ncheckpoints.CHECKPOINT_SECONDS = 0.0\n"
    hasty.write_text(f"{Path(tiny_plugin).read_text(encoding='utf-8')}\n{every}", encoding="utf-8")
    arguments = [
        "run", "--plugin", str(hasty), "--datasets", "tiny", "--methods", "tiny-walk", "--seeds", "0,1", "--jobs", "2",
        "--set", "tiny-walk.steps=40", "--out",
    ]  # fmt: skip
    command = [sys.executable, "-m", "bench", *arguments]

    monkeypatch.setattr("bench.running.cell.checkpoints.CHECKPOINT_SECONDS", 0.0)  # put back after the plugin's import
    unbroken = dataclasses.replace(context, out=tmp_path / "unbroken")
    assert bench_main(*arguments, unbroken.out).code == 0

    def start(out, pause):
        environment = {**os.environ, "TINY_PAUSE": str(pause)}
        return subprocess.Popen(
            [*command, str(out)], cwd=tmp_path, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    out = tmp_path / "broken"
    first = start(out, 0.3)
    wait_until(lambda: len(list(out.rglob("distil.safetensors"))) == 2, first)
    family = [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]
    assert len(family) >= 3
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    assert list(RecordStore(out).all()) == []

    second = start(out, 0.3)
    wait_until(lambda: min(states(out)) >= 5, second)
    os.killpg(second.pid, signal.SIGINT)  # as Ctrl-C does
    printed, told = second.communicate(timeout=240)
    assert second.returncode == 130, told
    assert "Traceback" not in told
    assert told.count("resumed after step") == 2
    assert {record.status for record in RecordStore(out).all()} == {"interrupted"}
    assert "interrupted" in printed

    third = start(out, 0)
    _, told = third.communicate(timeout=240)
    assert third.returncode == 0, told
    assert told.count("resumed after step") == 2
    expected = {record.id: record for record in RecordStore(unbroken.out).all()}
    found = {record.id: record for record in RecordStore(out).all()}
    assert found.keys() == expected.keys()
    assert len(found) == 2
    for name, record in found.items():
        assert record.status == "ok"
        assert record.evaluations == expected[name].evaluations
        assert record.history == expected[name].history
        tensors = [folder / "artefacts" / name / "memory.safetensors" for folder in (out, tmp_path / "unbroken")]
        assert tensors[0].read_bytes() == tensors[1].read_bytes()
    assert not any((out / "checkpoints").iterdir())


def states(out: Path) -> list[int]:
    """Steps in the checkpoints of all cells."""
    from bench.results.artefacts import load_tensors

    kept = [load_tensors(path) for path in out.rglob("distil.safetensors")]
    return [0 if entry is None else entry[1]["step"] for entry in kept]


def wait_until(condition, process):
    """Waits for a condition of a run under way."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_logs_reach_the_driver(engine, plan, monkeypatch):
    monkeypatch.setattr("bench.running.cell.checkpoints.CHECKPOINT_SECONDS", 0.0)
    (cell,) = plan("tiny-walk")

    def interrupt(event):
        if isinstance(event, CellProgress) and event.step == 3:
            raise Stopped

    with pytest.raises(KeyboardInterrupt):
        engine([cell], emit=interrupt)
    assert [event for event in engine([cell]) if isinstance(event, CellLog)] == [
        CellLog(cell.cell.id(), "resumed after step 2")
    ]
