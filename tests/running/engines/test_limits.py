"""Limits of a cell and of a machine: time, Ctrl-C twice, places on GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest

from bench.core.errors import BenchError
from bench.results.claims import Claims
from bench.results.records import RecordStore
from bench.running.engines import gpus, worker
from bench.running.engines.engine import Order, Run
from bench.running.engines.gpus import free_place, own_device
from bench.running.engines.local import Local


def run(cells, registries, tiny_plugin, context, **limits):
    limited = Run((tiny_plugin,), context, **limits)
    Local(1).run([Order(planned, "") for planned in cells], limited, lambda event: None)


def test_a_cell_that_takes_too_long_is_stopped_and_goes_on_later(plan, registries, tiny_plugin, context, monkeypatch):
    monkeypatch.setenv("TINY_PAUSE", "0.01")
    (slow,) = plan("tiny-walk", overrides={"tiny-walk": {"steps": 100_000}})
    run([slow], registries, tiny_plugin, context, timeout=1.2)
    store = RecordStore(context.out)
    record = store.read(slow.cell.id())
    assert record.status == "timeout"
    assert record.reason == "took longer than --timeout 0.02 minutes; the same command goes on from its checkpoint"
    assert (context.out / "checkpoints" / slow.cell.id() / "distil.safetensors").exists()
    assert not any(Claims(context.out).all())


def test_a_cell_that_hangs_is_killed(plan, registries, tiny_plugin, context, monkeypatch):
    monkeypatch.setenv("TINY_PAUSE", "1000")
    monkeypatch.setattr(worker, "HANGING_SECONDS", 0.0)
    (cell,) = plan("tiny-walk")
    run([cell], registries, tiny_plugin, context, timeout=0.5)
    record = RecordStore(context.out).read(cell.cell.id())
    assert (record.status, record.reason[:39]) == ("timeout", "took longer than --timeout 0.00833333 m")


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_twice_stops_at_once_and_keeps_what_is_finished(tiny_plugin, tmp_path):
    """The cell under way ignores the first Ctrl-C, as a long step of native code does."""
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import signal, time\n"
        "from bench.api import Method, NoOptions\n"
        "class Deaf(Method[NoOptions]):\n"
        "    name = 'deaf'\n"
        "    def distill(self, task):\n"
        "        signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "        task.progress(1, 2)\n"
        "        time.sleep(1000)\n"
        "    def stored_bytes(self, work):\n"
        "        return 0\n"
        "    def clip_passes(self, work):\n"
        "        return 0.0\n"
    )
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "bench",
        "run",
        "--plugin",
        tiny_plugin,
        "--plugin",
        deaf,
        "--datasets",
        "tiny",
        "--jobs",
        "2",
    ]
    driver = subprocess.Popen(
        [*map(str, command), "--methods", "tiny-noise,deaf", "--out", str(out)], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    store = RecordStore(out)
    wait_for(
        lambda: (
            driver.poll() is not None
            or (any(store.all()) and any(claim.title.startswith("deaf") for claim in Claims(out).all()))
        )
    )
    # Only when it says so is the cell deaf: its first step is told by the next sign of life at the latest.
    wait_for(lambda: any(claim.phase == "distil" for claim in Claims(out).all()))
    workers = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(1.0)
    assert driver.poll() is None  # it waits for the cell
    os.killpg(driver.pid, signal.SIGINT)
    printed, told = driver.communicate(timeout=180)
    assert (driver.returncode, told.splitlines()[-1]) == (130, "interrupted")
    assert (
        "Traceback" not in told.partition("interrupted\n")[0]
    )  # after it only exit handlers of libraries are cut short
    assert printed == ""  # no table is made any more
    _, alive = psutil.wait_procs(workers, timeout=90)
    assert alive == []
    assert {record.cell.method: record.status for record in store.all()} == {"tiny-noise": "ok"}


# ----------------------------------------------------------------------------------------------------------------------
# GPUs


def test_gpus_fill_evenly_and_the_next_waits_for_a_place(tmp_path):
    names = ["one", "two"]
    with (
        free_place(names, 2, tmp_path) as first,
        free_place(names, 2, tmp_path) as second,
        free_place(names, 2, tmp_path) as third,
    ):
        assert [first, second, third] == [0, 1, 0]
        with free_place(names, 2, tmp_path) as fourth:
            assert fourth == 1
            got = []

            def wait():
                with free_place(names, 2, tmp_path) as number:
                    got.append(number)

            thread = threading.Thread(target=wait)
            thread.start()
            thread.join(0.3)
            assert got == []
        thread.join(30)
        assert got == [1]


def test_auto_is_the_cpu_where_there_is_no_gpu_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with own_device("auto", 1) as device:
        assert device == "cpu"
    with (
        pytest.raises(BenchError, match="--device cuda:1: no CUDA device is available on this machine"),
        own_device("cuda:1", 1),
    ):
        pass


def test_worker_processes_share_out_the_gpus_that_there_are(monkeypatch, tmp_path):
    """A machine with two GPUs, as PyTorch would tell of it; a process that sees them in another order counts the same ones."""
    seen, current = ["GPU-a", "GPU-b"], []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(seen))
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda number: SimpleNamespace(uuid=seen[number]))
    monkeypatch.setattr("torch.cuda.set_device", current.append)
    monkeypatch.setattr(gpus, "_folder", lambda: tmp_path)
    with own_device("cuda", 1) as first, own_device("auto", 1) as second:
        assert [first, second] == ["cuda:0", "cuda:1"]
        assert current == [0, 1]
    with own_device("cuda", 1) as first:
        seen.reverse()  # as CUDA_VISIBLE_DEVICES=1,0 has it
        with own_device("cuda", 1) as second:
            assert [first, second] == ["cuda:0", "cuda:0"]
    with (
        own_device("cuda:1", 1) as given,
        own_device("cuda:1", 1) as again,
    ):  # what is asked for by number is not counted
        assert [given, again] == ["cuda:1", "cuda:1"]


def wait_for(condition):
    end = time.monotonic() + 400
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
