"""On a dask worker: each cell in a worker process below it, which it watches and replaces when that dies."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin, get_worker

from bench.core.source import METHOD_PACKAGES, SUITE
from bench.results.claims import machine
from bench.running.cell import retry
from bench.running.engines.engine import Run, stamp
from bench.running.engines.events import CellFinished, CellLog, CellProgress
from bench.running.engines.one_cell import died
from bench.running.engines.worker import Parcel, Worker, ended

JOINED = "joined"
"""The first word of a worker that can take cells; then come its address and the id of its Slurm job, if it has one."""

# The pace at which a cell's progress travels.
_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class End:
    """How a task ended on a worker.

    Attributes:
        how: ``finished`` with the stamp of the record, ``held``, ``died`` with the cause, ``hung``, ``late``, ``stopped``,
            or ``unfit`` with what the worker lacks.
        detail: see there.
        times: processes that died.
        of_memory: whether the system killed the last of them for memory.
    """

    how: str
    detail: str = ""
    times: int = 0
    of_memory: bool = False


def perform(name: str, cell_id: str, modules: tuple[str, ...], order: bytes, index: bytes) -> End:
    """The task of a cell."""
    plugin: WorkerProcesses = get_worker().plugins[name]
    return plugin.perform(cell_id, Parcel(modules, order, index))


def same(value: bytes) -> bytes:
    """The task of an index: the scheduler hands it to each worker once."""
    return value


def stop(name: str, at_once: bool, dask_worker: Any) -> None:
    """Ends the cells of a run on a dask worker."""
    if name in dask_worker.plugins:
        dask_worker.plugins[name].stop(at_once)


class WorkerProcesses(WorkerPlugin):  # type: ignore[misc]
    """The worker processes of one run below one dask worker.

    Args:
        name: of the run.
        run: see there.
        code, probe: the driver's `fingerprint`, and a file that it has written.
        slots: cells at a time on each host, as far as known.
        owned: whether the worker lives no longer than the driver and shares its terminal.

    Attributes:
        machine: the driver's; on it the deadline of ``run`` is understood.
        late: the deadline by the time of day, which is the only clock that machines share, or None.
    """

    def __init__(self, name: str, run: Run, code: str, probe: Path, slots: Mapping[str, int], owned: bool) -> None:
        self.name = name
        self.run = run
        self.code = code
        self.probe = probe
        self.slots = slots
        self.owned = owned
        self.machine = machine()
        self.late = None if run.deadline is None else time.time() + run.deadline - time.monotonic()

    def setup(self, worker: Any) -> None:
        """Called by dask when the worker joins the run."""
        self.dask_worker = worker
        if self.late is not None and machine() != self.machine:
            # Once, so that a clock that is set later changes nothing.
            self.run = replace(self.run, deadline=time.monotonic() + self.late - time.time())
        self.busy: set[Worker] = set()
        self.lock = threading.Lock()
        self.stopped = False
        self.lacks = self._lacks()
        # Dask marks its workers as processes that may have no children; theirs end with them by themselves.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        if self.owned and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal: the driver says what to do
        names = [worker.address, os.environ.get("SLURM_JOB_ID", "")]
        worker.log_event(self.name, [JOINED, [name for name in names if name]])

    def teardown(self, worker: Any) -> None:
        """Called by dask when the run or the worker ends."""
        self.stop(at_once=True)

    def stop(self, at_once: bool) -> None:
        """Ends the cells under way; those that come later do not start."""
        self.stopped = True
        with self.lock:
            workers = list(self.busy)
        for worker in workers:
            if at_once:
                worker.process.kill()
            else:
                worker.interrupt()

    def perform(self, cell_id: str, parcel: Parcel) -> End:
        """Runs a cell; if its process dies, again."""
        if self.lacks:
            return End("unfit", f"{self.dask_worker.address} {self.lacks}")
        end = End("died")
        for number in range(self.run.attempts):
            if number:
                if end.of_memory:
                    retry.note(self.run.context.checkpoints(cell_id), died(number, end.detail))
                self._tell(CellLog(cell_id, f"its worker process died ({end.detail}); trying it again"))
            if self.stopped:
                return End("stopped")
            if self.run.is_late():
                return End("late")
            worker = Worker(self.run, self._threads())
            with self.lock:
                self.busy.add(worker)
            try:
                end = self._attend(worker, cell_id, parcel)
            finally:
                with self.lock:
                    self.busy.discard(worker)
            if end.how != "died" or self.stopped:
                return End("stopped") if end.how == "died" else end
        return replace(end, times=self.run.attempts)

    def _attend(self, worker: Worker, cell_id: str, parcel: Parcel) -> End:
        """Hands a cell to a process and passes on what that tells, until one of them ends."""
        worker.hand_over(parcel)
        last_told = 0.0
        while True:
            multiprocessing.connection.wait([worker.pipe, worker.process.sentinel], timeout=1.0)
            dead = worker.is_dead()  # before listening: what it told before it died is heard
            for event in worker.events():
                if ended(event):
                    worker.close()
                    return End("finished", stamp(event.record)) if isinstance(event, CellFinished) else End("held")
                if not isinstance(event, CellProgress) or time.monotonic() - last_told >= _PROGRESS_SECONDS:
                    last_told = time.monotonic() if isinstance(event, CellProgress) else last_told
                    self._tell(event)
            if dead:
                worker.kill()
                if worker.is_late:
                    return End("hung")
                return End("died", worker.cause(), of_memory=worker.ran_out_of_memory())

    def _threads(self) -> int | None:
        """Threads of torch for one cell: an even share of the cores, unless the user has said how many."""
        if "OMP_NUM_THREADS" in os.environ:
            return None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        slots: int = max(self.slots.get(host(self.dask_worker.address), 0), self.dask_worker.state.nthreads)
        return max(1, cores // slots)

    def _tell(self, event: Any) -> None:
        self.dask_worker.log_event(self.name, [type(event).__name__, asdict(event)])

    def _lacks(self) -> str:
        """What keeps this worker from running cells; empty if nothing does."""
        if fingerprint(self.run) != self.code:
            return "runs other code of the suite, of a method or of a plugin; install the same version there"
        if not self.probe.exists():
            return f"does not see {self.probe.parent}; --out must be a folder that all workers share"
        return ""


def fingerprint(run: Run) -> str:
    """A digest of all code that results depend on."""
    folders = [importlib.import_module(name).__path__[0] for name in (SUITE, *METHOD_PACKAGES)]
    files = [path for folder in folders for path in Path(folder).rglob("*.py")]
    digests = set()  # an installed suite has its methods inside, a source tree beside
    for path in [*files, *(run.folder / file for file in run.plugin_files)]:
        with contextlib.suppress(OSError):
            digests.add(hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def host(address: str) -> str:
    """The address of a dask worker without its port."""
    return address.rpartition(":")[0]
