"""The dask engine: cells on the workers of a dask cluster, on this machine or many.

Each cell runs in a process of its own below a dask worker, which therefore stays in touch while the cell computes and
outlives what the cell dies of. The cluster only says which cell runs where; claims and records lie in the folder of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import queue
import secrets
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from distributed import WorkerPlugin, get_worker

from bench.core.errors import BenchError
from bench.core.source import METHOD_PACKAGES
from bench.results.claims import Claim, Claims, machine
from bench.results.records import RecordStore
from bench.run.engines.engine import Emit, Engine, Order, StoppedAtOnce, Work, stamp
from bench.run.engines.events import CellFinished, CellHeld, CellLog, CellProgress, CellStarted, Event
from bench.run.engines.local import LOOK_SECONDS, died
from bench.run.engines.one_cell import give_up, too_long
from bench.run.engines.watch import Watch, who
from bench.run.engines.worker import Child, Parcel, ended, is_worn, pack

Open = Callable[[ExitStack, Callable[[str], None], Path], Any]
"""Opens a cluster: given a stack that closes it, a function for lines to the user and a folder for logs; returns a client."""

# How long workers may take to write what they have after the first Ctrl-C.
_GRACE_SECONDS = 10.0

# A file that a worker has written may take so long to be seen here (attribute caches of network file systems).
_VISIBLE_SECONDS = 90.0

# The pace at which a cell's progress travels.
_PROGRESS_SECONDS = 1.0


@final
class Dask(Engine):
    """Cells on a dask cluster.

    Args:
        cluster: opens it when the first cell is to be run.
        owned: whether its workers live no longer than this process.
    """

    name = "dask"

    def __init__(self, cluster: Open, owned: bool) -> None:
        self._open = cluster
        self._owned = owned
        self._stack = ExitStack()
        self._client: Any = None

    def run(self, cells: Sequence[Order], work: Work, emit: Emit) -> None:
        """See `Engine`."""
        if self._client is None:
            logs = work.context.out / "logs"
            self._client = self._open(self._stack, lambda line: emit(CellLog("cluster", line)), logs)
        _Run(self._client, work, emit, self._owned).run(cells)

    def close(self) -> None:
        """See `Engine`."""
        self._client = None
        self._stack.close()


# ----------------------------------------------------------------------------------------------------------------------
# Clusters


def loopback(jobs: int, attempts: int) -> Open:
    """A cluster on this machine that nobody else can reach.

    Args:
        jobs: workers, each with one cell at a time.
        attempts: how often a cell whose dask worker dies is tried.
    """

    def start(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Any:
        import dask
        from distributed import Client, LocalCluster

        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": attempts - 1, **quiet()}))
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, silence_logs=logging.CRITICAL,
        )  # fmt: skip
        stack.enter_context(cluster)
        return stack.enter_context(Client(cluster))

    return start


def running(address: str) -> Open:
    """The cluster whose scheduler listens at an address."""

    def join(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Any:
        import dask
        from distributed import Client

        stack.enter_context(dask.config.set(quiet()))
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            client = stack.enter_context(Client(address, timeout=10))
        except (OSError, TimeoutError) as error:
            raise BenchError(f"--scheduler {address}: no dask scheduler answers there") from error
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        log(f"{count} workers" if count else "the cluster has no worker yet; waiting for one")
        return client

    return join


def quiet() -> dict[str, Any]:
    """Settings of dask: what happens to workers is told by the engine."""
    return {"logging": {"distributed": "critical"}, "distributed.admin.large-graph-warning-threshold": "1 GB"}


# ----------------------------------------------------------------------------------------------------------------------
# On a dask worker


@dataclass(frozen=True)
class End:
    """How a task ended on a worker.

    Attributes:
        how: ``finished`` with the stamp of the record, ``held``, ``died`` with the cause, ``hung``, ``late``, ``stopped``,
            or ``unfit`` with what the worker lacks.
        detail: see there.
        times: processes that died.
    """

    how: str
    detail: str = ""
    times: int = 0


def perform(run: str, cell_id: str, order: bytes, index: bytes) -> End:
    """The task of a cell."""
    plugin: _Children = get_worker().plugins[run]
    return plugin.perform(cell_id, Parcel(order, index))


def same(value: bytes) -> bytes:
    """The task of an index: the scheduler hands it to each worker once."""
    return value


def stop(run: str, at_once: bool, dask_worker: Any) -> None:
    """Ends the cells of a run on a worker."""
    if run in dask_worker.plugins:
        dask_worker.plugins[run].stop(at_once)


class _Children(WorkerPlugin):  # type: ignore[misc]
    """The processes of one run below one dask worker.

    Args:
        name: of the run.
        work: see there.
        code, probe: the driver's `fingerprint`, and a file that it has written.
        slots: cells at a time on each host, as far as known.
        owned: whether the worker lives no longer than the driver and shares its terminal.

    Attributes:
        machine: the driver's; on it the deadline of ``work`` is understood.
        late: the deadline by the time of day, which is the only clock that machines share, or None.
    """

    def __init__(self, name: str, work: Work, code: str, probe: Path, slots: Mapping[str, int], owned: bool) -> None:
        self.name = name
        self.work = work
        self.code = code
        self.probe = probe
        self.slots = slots
        self.owned = owned
        self.machine = machine()
        self.late = None if work.deadline is None else time.time() + work.deadline - time.monotonic()

    def setup(self, worker: Any) -> None:
        """Called by dask when the worker joins the run."""
        self.worker = worker
        if self.late is not None and machine() != self.machine:
            # Once, so that a clock that is set later changes nothing.
            self.work = replace(self.work, deadline=time.monotonic() + self.late - time.time())
        self.idle: list[Child] = []
        self.busy: set[Child] = set()
        self.lock = threading.Lock()
        self.stopped = False
        self.lacks = self._lacks()
        # Dask marks its workers as processes that may have no children; theirs end with them by themselves.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        if self.owned and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal: the driver says what to do

    def teardown(self, worker: Any) -> None:
        """Called by dask when the run or the worker ends."""
        self.stop(at_once=True)

    def stop(self, at_once: bool) -> None:
        """Ends the cells under way; those that come later do not start."""
        self.stopped = True
        with self.lock:
            children = [*self.busy, *self.idle]
        for child in children:
            if at_once:
                child.process.kill()
            else:
                child.interrupt()

    def perform(self, cell_id: str, parcel: Parcel) -> End:
        """Runs a cell; if its process dies, again."""
        if self.lacks:
            return End("unfit", f"{self.worker.address} {self.lacks}")
        cause = ""
        for number in range(self.work.attempts):
            if number:
                self._tell(CellLog(cell_id, f"its worker process died ({cause}); trying it again"))
            if self.stopped:
                return End("stopped")
            if self.work.is_late():
                return End("late")
            child = self._child()
            try:
                end = self._attend(child, cell_id, parcel)
            finally:
                with self.lock:
                    self.busy.discard(child)
            if end.how != "died" or self.stopped:
                return End("stopped") if end.how == "died" else end
            cause = end.detail
        return End("died", cause, self.work.attempts)

    def _attend(self, child: Child, cell_id: str, parcel: Parcel) -> End:
        """Hands a cell to a process and passes on what that tells, until one of them ends."""
        child.hand_over(parcel)
        told = 0.0
        while True:
            multiprocessing.connection.wait([child.pipe, child.process.sentinel], timeout=1.0)
            dead = child.is_dead()  # before listening: what it told before it died is heard
            for event in child.events():
                if ended(event):
                    self._put_back(child, event)
                    return End("finished", stamp(event.record)) if isinstance(event, CellFinished) else End("held")
                if not isinstance(event, CellProgress) or time.monotonic() - told >= _PROGRESS_SECONDS:
                    told = time.monotonic() if isinstance(event, CellProgress) else told
                    self._tell(event)
            if dead:
                child.pipe.close()  # should it live though the server that it was forked from does not, it ends now
                return End("hung") if child.is_late else End("died", child.cause())

    def _child(self) -> Child:
        """A process that is free, or a new one; it is busy from here on."""
        with self.lock:
            while self.idle:
                child = self.idle.pop()
                if not child.is_dead():
                    break
            else:
                child = Child(self.work, self._threads())
            self.busy.add(child)
        return child

    def _put_back(self, child: Child, event: Event | CellHeld) -> None:
        if self.stopped or is_worn(event, self.work.context.device):
            child.close()
        else:
            with self.lock:
                self.idle.append(child)

    def _threads(self) -> int | None:
        """Threads of torch for one cell: an even share of the cores, unless the user has said how many."""
        if "OMP_NUM_THREADS" in os.environ:
            return None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        slots: int = max(self.slots.get(_host(self.worker.address), 0), self.worker.state.nthreads)
        return max(1, cores // slots)

    def _tell(self, event: Any) -> None:
        self.worker.log_event(self.name, [type(event).__name__, asdict(event)])

    def _lacks(self) -> str:
        """What keeps this worker from running cells; empty if nothing does."""
        if fingerprint(self.work) != self.code:
            return "runs other code of the suite, of a method or of a plugin; install the same version there"
        if not self.probe.exists():
            return f"does not see {self.probe.parent}; --out must be a folder that all workers share"
        return ""


def fingerprint(work: Work) -> str:
    """A digest of all code that results depend on."""
    root = Path(__file__).parents[3]
    files = [path for name in ("bench", *METHOD_PACKAGES) for path in sorted((root / name).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [*files, *(work.folder / file for file in work.plugin_files)]:
        with contextlib.suppress(OSError):
            digest.update(hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).digest())
    return digest.hexdigest()


def _host(address: str) -> str:
    return address.rpartition(":")[0]


# ----------------------------------------------------------------------------------------------------------------------
# In the driver


@final
class _Run:
    """One call of `Dask.run`."""

    def __init__(self, client: Any, work: Work, emit: Emit, owned: bool) -> None:
        self.client = client
        self.work = work
        self.emit = emit
        self.owned = owned
        self.name = f"bench-{secrets.token_hex(8)}"
        self.store = RecordStore(work.context.out)
        self.watch = Watch(work.context.out)
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.orders: dict[Any, Order] = {}
        self.indexes: dict[int, bytes] = {}
        self.shared: dict[bytes, Any] = {}
        self.submitted = 0

    def run(self, cells: Sequence[Order]) -> None:
        """See `Engine.run`."""
        probe = self.work.context.out / "claims" / f".{self.name}"
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        self.client.subscribe_topic(self.name, lambda event: self.news.put(event[1]))
        slots: dict[str, int] = {}
        for address, facts in self.client.scheduler_info(n_workers=-1)["workers"].items():
            slots[_host(address)] = slots.get(_host(address), 0) + facts["nthreads"]
        plugin = _Children(self.name, self.work, fingerprint(self.work), probe, slots, self.owned)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of large arguments: they are few
                self.client.register_plugin(plugin, name=self.name)
                for order in cells:
                    self._submit(order)
            while self.orders or (len(self.watch) and not self.work.is_late()):
                self._listen(LOOK_SECONDS)
                finished, free = self.watch.look()
                for record in finished:
                    self.emit(CellFinished(record))
                for order in free:
                    self._submit(order)
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            probe.unlink(missing_ok=True)
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self.client.cancel(list(self.orders))
                self.client.unsubscribe_topic(self.name)
                self.client.unregister_worker_plugin(self.name)

    def _submit(self, order: Order) -> None:
        parcel = pack(order, self.indexes)
        if parcel.index not in self.shared:
            key = f"index-{hashlib.sha256(parcel.index).hexdigest()[:16]}-{self.name}"
            self.shared[parcel.index] = self.client.submit(same, parcel.index, key=key)
        self.submitted += 1
        future = self.client.submit(
            perform, self.name, order.id(), parcel.order, self.shared[parcel.index],
            key=f"cell-{order.id()[:16]}-{self.submitted}-{self.name}", pure=False,
        )  # fmt: skip
        self.orders[future] = order
        future.add_done_callback(self.news.put)

    def _listen(self, seconds: float) -> None:
        """Handles what has happened, waiting for at most so long."""
        with contextlib.suppress(queue.Empty):
            news = self.news.get(timeout=seconds)
            while True:
                if isinstance(news, list | tuple):
                    self.emit(_event(*news))
                elif news in self.orders:
                    self._conclude(news, self.orders.pop(news))
                news = self.news.get_nowait()

    def _conclude(self, future: Any, order: Order) -> None:
        """Takes in how a task ended."""
        from distributed import KilledWorker

        if future.status == "error":
            error = future.exception()
            if not isinstance(error, KilledWorker):
                raise BenchError(f"a dask worker cannot run cells: {type(error).__name__}: {error}")
            end = End("died", "with its dask worker", int(getattr(error, "allowed_failures", 0)) + 1)
        elif future.status == "finished":
            end = future.result()
        else:
            raise BenchError(
                "the dask scheduler is gone; cells under way go on to their records, the same command goes on from there"
            )
        held: Claim | None = None
        if end.how == "held":
            held = Claims(self.work.context.out).holder(order.id())
        if end.how == "unfit":
            raise BenchError(f"dask worker {end.detail}")
        if end.how == "finished":
            self._finish(order, end.detail)
        elif end.how == "died":
            held = give_up(order, self.work, "failed", died(end.times, end.detail), self.emit)
        elif end.how == "hung" and self.work.timeout is not None:
            held = give_up(order, self.work, "timeout", too_long(self.work.timeout), self.emit)
        if end.how == "held" or held is not None:
            self.watch.add(order)
            self.emit(CellLog(order.id(), who(held)))

    def _finish(self, order: Order, expected: str) -> None:
        """Tells of a record as soon as it is seen here."""
        limit = time.monotonic() + _VISIBLE_SECONDS
        while stamp(record := self.store.read(order.id())) != expected:
            if time.monotonic() > limit:
                raise BenchError(
                    f"--out {self.store.out}: a worker has written the record {order.id()[:12]}, which is not seen here; "
                    "it must be a folder that all workers share"
                )
            time.sleep(0.1)
        assert record is not None
        self.emit(CellFinished(record))

    def _stop(self) -> None:
        """Gives workers a moment to write what they have; a second Ctrl-C kills them."""
        limit = time.monotonic() + _GRACE_SECONDS
        try:
            self.client.run(stop, self.name, at_once=False)
            while any(not future.done() for future in self.orders) and time.monotonic() < limit:
                time.sleep(0.1)
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        finally:
            with contextlib.suppress(Exception):  # a worker or the scheduler may be gone
                self.client.run(stop, self.name, at_once=True)


def _event(kind: str, fields: dict[str, Any]) -> Event:
    """What a worker has told, as it was before it travelled."""
    kinds: dict[str, Any] = {kind.__name__: kind for kind in (CellStarted, CellProgress, CellLog)}
    event: Event = kinds[kind](**fields)
    return event
