"""The dask engine on two loopback workers: the same records as the local one, whatever dies on the way."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from unittest import mock

import psutil
import pytest

pytest.importorskip("distributed")
pytest.importorskip("cryptography")

import dask

from bench.core.errors import BenchError
from bench.results.claims import Claims
from bench.results.merge import differing, facts
from bench.results.records import RecordStore
from bench.running.engines import dask as engine_module
from bench.running.engines.clusters import loopback, running
from bench.running.engines.dask import Dask
from bench.running.engines.dask_worker import WorkerProcesses
from bench.running.engines.engine import Order, Run, stamp
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted
from bench.running.engines.local import Local


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The scheduler of a cluster of two workers."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TINY_PAUSE", "0.02")
    with contextlib.ExitStack() as stack:
        client = loopback(2, 10)(stack, print, tmp_path_factory.mktemp("logs")).client
        patch.undo()
        keys = client.security.get_tls_config_for_role("client")
        names = {"ca-file": keys["ca_file"], "client.cert": keys["cert"], "client.key": keys["key"]}
        stack.enter_context(dask.config.set({f"distributed.comm.tls.{name}": key for name, key in names.items()}))
        yield client.scheduler.address


def is_let_in(address, **keys):
    """Whether somebody with these keys (none given: those of the settings) reaches a scheduler or worker."""
    from distributed import Client

    try:
        with Client(address, timeout=2, **keys):
            return True
    except (OSError, RuntimeError):
        return False


def test_nobody_without_the_keys_of_the_run_reaches_its_cluster(address, context):
    """Neither the scheduler nor a worker, with other keys or without encryption."""
    from distributed.security import Security

    with contextlib.ExitStack() as stack:
        workers = list(running(address)(stack, print, context.out).client.scheduler_info()["workers"])
    assert len(workers) == 2
    assert is_let_in(address)
    for door in (address, workers[0]):
        assert door.startswith("tls://127.0.0.1:")
        assert not is_let_in(door, security=Security.temporary())
        assert not is_let_in(door.replace("tls://", "tcp://"), security=Security(require_encryption=False))
    with (
        dask.config.set({"distributed.comm.tls.ca-file": None}),
        contextlib.ExitStack() as stack,
        pytest.raises(BenchError, match=r"--scheduler tls://.*; it asks for certificates"),
    ):
        running(address)(stack, print, context.out)


@pytest.fixture
def engine(registries, tiny_plugin, context, address):
    """Runs cells on the cluster; returns the events."""

    def run(cells, emit=None, **limits):
        events = []
        store = RecordStore(context.out)
        orders = [Order(planned, stamp(store.read(planned.cell.id()))) for planned in cells]
        with Dask(running(address), owned=False) as dask:
            dask.run(orders, Run((tiny_plugin,), context, **limits), emit or events.append)
        return events

    return run


def records(out):
    return {record.id: record for record in RecordStore(out).all()}


def test_a_grid_gives_the_records_of_the_local_engine_though_a_worker_is_killed(
    engine, plan, context, registries, tiny_plugin
):
    cells = plan("tiny-walk", "herding", "tiny-noise", overrides={"tiny-walk": {"steps": 40}})
    walk = cells[0].cell.id()
    events, listening = [], set()

    def kill_once(event):
        if isinstance(event, CellProgress) and event.cell_id == walk and not listening:
            above = psutil.Process(Claims(context.out).holder(walk).owner.pid).parents()
            worker = next(process for process in above if "spawn_main" in " ".join(process.cmdline()))  # dask's
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found = process.net_connections(kind="inet")
                    listening.update(entry.laddr.ip for entry in found if entry.status == psutil.CONN_LISTEN)
            worker.kill()
        events.append(event)

    engine(cells, emit=kill_once)
    assert listening == {"127.0.0.1"}
    assert events.count(CellStarted(walk, cells[0].cell.title())) == 2
    assert sorted(event.record.id for event in events if isinstance(event, CellFinished)) == sorted(
        planned.cell.id() for planned in cells
    )
    alone = dataclasses.replace(context, out=context.out.with_name("alone"))
    Local(1).run([Order(planned, "") for planned in cells], Run((tiny_plugin,), alone), lambda event: None)
    expected, found = records(alone.out), records(context.out)
    assert found.keys() == expected.keys()
    for name, record in found.items():
        assert record.status == "ok"
        assert differing(facts(record), facts(expected[name])) == []
        sets = [folder / "artefacts" / name / "memory.safetensors" for folder in (context.out, alone.out)]
        assert sets[0].read_bytes() == sets[1].read_bytes()
    assert not any(Claims(context.out).all())


def test_a_cell_that_kills_its_processes_is_failed_and_stops_no_other(engine, plan, context):
    cells = plan("tiny-broken", "tiny-noise", overrides={"tiny-broken": {"how": "kill"}})
    events = engine(cells, attempts=2)
    found = {record.cell.method: (record.status, record.reason) for record in RecordStore(context.out).all()}
    assert found == {
        "tiny-broken": ("failed", "its worker process died 2 times (SIGKILL; the system may have run out of memory)"),
        "tiny-noise": ("ok", ""),
    }
    told = [event.message for event in events if isinstance(event, CellLog) and event.cell_id == cells[0].cell.id()]
    assert told == ["its worker process died (SIGKILL; the system may have run out of memory); trying it again"]


def test_a_user_who_stops_the_driver_finds_the_cell_interrupted(engine, plan, context):
    (cell,) = plan("tiny-walk", overrides={"tiny-walk": {"steps": 5000}})

    def interrupt(event):
        if isinstance(event, CellProgress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine([cell], emit=interrupt)
    assert RecordStore(context.out).read(cell.cell.id()).status == "interrupted"
    assert not any(Claims(context.out).all())


def test_a_worker_that_cannot_give_the_same_records_is_named(engine, plan, context, monkeypatch):
    monkeypatch.setattr(engine_module, "fingerprint", lambda run: "other code")
    with pytest.raises(BenchError, match=r"dask worker tls://127.0.0.1:\d+ runs other code of the suite"):
        engine(plan("tiny-noise"))
    assert records(context.out) == {}


def test_a_cell_of_another_driver_is_waited_for(engine, plan, context, registries, tiny_plugin):
    (cell,) = plan("tiny-noise")
    held = Claims(context.out).take(cell.cell.id(), "held")
    told = []

    def finish_elsewhere(event):
        told.append(event)
        if isinstance(event, CellLog) and "works on it" in event.message:
            held.release(False)

    engine([cell], emit=finish_elsewhere)
    kinds = [type(event).__name__ for event in told if getattr(event, "cell_id", "") == cell.cell.id()]
    assert kinds[:2] == ["CellLog", "CellStarted"]
    assert isinstance(told[-1], CellFinished)
    assert told[-1].record.status == "ok"


@pytest.mark.parametrize(("where", "seconds"), [("here", 1000.0), ("elsewhere", 50.0)])
def test_a_time_limit_goes_by_the_time_of_day_only_between_machines(context, tmp_path, where, seconds):
    run = Run((), context, deadline=time.monotonic() + 1000.0)
    processes = WorkerProcesses("run", run, "", tmp_path, {}, owned=False)
    processes.late = time.time() + 50.0  # as a clock says that was set
    processes.machine = processes.machine if where == "here" else where
    processes.setup(mock.Mock(address="tls://127.0.0.1:1"))
    assert processes.run.deadline - time.monotonic() == pytest.approx(seconds, abs=20.0)
