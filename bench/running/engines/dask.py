"""The dask engine: cells on the workers of a dask cluster, on this machine or many.

Each cell runs in a process of its own below a dask worker, which therefore stays in touch while the cell computes and
outlives what the cell dies of. The cluster only says which cell runs where; claims and records lie in the folder of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, final

from typing_extensions import override

from bench.core.errors import BenchError
from bench.results.claims import Claim, Claims
from bench.results.records import RecordStore, Status
from bench.running.engines.clusters import Cluster, Open
from bench.running.engines.dask_worker import JOINED, End, WorkerProcesses, fingerprint, host, perform, same, stop
from bench.running.engines.engine import Emit, Engine, Order, Run, StoppedAtOnce, stamp
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted, Event
from bench.running.engines.local import LOOK_SECONDS
from bench.running.engines.one_cell import died, give_up, too_long
from bench.running.engines.watch import Watch, look, wait_for
from bench.running.engines.worker import pack

# How long workers may take to write what they have after the first Ctrl-C.
_GRACE_SECONDS = 10.0

# How long workers, or the scheduler, may take to hear of it.
_TELL_SECONDS = 3.0

# How long workers that are there already may take to join.
_JOIN_SECONDS = 120.0

# A file that a worker has written may take so long to be seen here (attribute caches of network file systems).
_VISIBLE_SECONDS = 90.0


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
        self._cluster: Cluster | None = None

    @override
    def run(self, cells: Sequence[Order], run: Run, emit: Emit) -> None:
        if self._cluster is None:
            logs = run.context.out / "logs"
            self._cluster = self._open(self._stack, lambda line: emit(CellLog("cluster", line)), logs)
        _Driver(self._cluster, run, emit, self._owned).carry_out(cells)

    @override
    def close(self) -> None:
        self._cluster = None
        self._stack.close()


@final
class _Driver:
    """One call of `Dask.run`."""

    def __init__(self, cluster: Cluster, run: Run, emit: Emit, owned: bool) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.run = run
        self.emit = emit
        self.owned = owned
        self.name = f"bench-{secrets.token_hex(8)}"
        self.store = RecordStore(run.context.out)
        self.watch = Watch(run.context.out)
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.orders: dict[Any, Order] = {}
        self.indexes: dict[int, bytes] = {}
        self.shared: dict[bytes, Any] = {}
        self.submitted = 0
        self.joined: set[str] = set()

    def carry_out(self, cells: Sequence[Order]) -> None:
        """Runs all cells; see `Engine.run`."""
        probe = self.run.context.out / "claims" / f".{self.name}"
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        self.client.subscribe_topic(self.name, lambda event: self.news.put(event[1]))
        slots: dict[str, int] = {}
        for address, facts in self.client.scheduler_info(n_workers=-1)["workers"].items():
            slots[host(address)] = slots.get(host(address), 0) + facts["nthreads"]
        processes = WorkerProcesses(self.name, self.run, fingerprint(self.run), probe, slots, self.owned)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of large arguments: they are few
                self._register(processes)
                for order in cells:
                    self._submit(order)
            while self.orders or (len(self.watch) and not self.run.is_late()):
                self._listen(LOOK_SECONDS)
                self.cluster.look(len(self.orders), self.joined)
                for order in look(self.watch, self.emit):
                    self._submit(order)
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            probe.unlink(missing_ok=True)
            with contextlib.suppress(Exception):  # the scheduler may be gone
                _within(_TELL_SECONDS, self._leave)

    def _leave(self) -> None:
        """Leaves nothing of this run on the cluster."""
        self.client.cancel(list(self.orders))
        self.client.unsubscribe_topic(self.name)
        self.client.unregister_worker_plugin(self.name)

    def _register(self, processes: WorkerProcesses) -> None:
        """Has each worker, those that come later too, ready for the cells of this run.

        Raises:
            BenchError: one cannot load what it needs.
        """
        try:
            _within(_JOIN_SECONDS, lambda: self.client.register_plugin(processes, name=self.name))
        except Exception as error:  # as raised there: it has no such package, or another version
            raise BenchError(f"a dask worker cannot run cells: {type(error).__name__}: {error}") from error

    def _submit(self, order: Order) -> None:
        parcel = pack(order, self.indexes)
        if parcel.index not in self.shared:
            key = f"index-{hashlib.sha256(parcel.index).hexdigest()[:16]}-{self.name}"
            self.shared[parcel.index] = self.client.submit(same, parcel.index, key=key)
        self.submitted += 1
        future = self.client.submit(
            perform, self.name, order.id(), parcel.modules, parcel.order, self.shared[parcel.index],
            key=f"cell-{order.id()[:16]}-{self.submitted}-{self.name}", pure=False,
        )  # fmt: skip
        self.orders[future] = order
        future.add_done_callback(self.news.put)

    def _listen(self, seconds: float) -> None:
        """Handles what has happened, waiting for at most so long."""
        with contextlib.suppress(queue.Empty):
            news = self.news.get(timeout=seconds)
            while True:
                if isinstance(news, list | tuple) and news[0] == JOINED:
                    self.joined.update(news[1])
                elif isinstance(news, list | tuple):
                    self.emit(_event(*news))
                elif news in self.orders:
                    order = self.orders.pop(news)
                    self._conclude(_end(news), order)
                news = self.news.get_nowait()

    def _conclude(self, end: End, order: Order) -> None:
        """Takes in how the task of a cell ended."""
        holder: Claim | None = None
        if end.how == "unfit":
            raise BenchError(f"dask worker {end.detail}")
        if end.how == "finished":
            self._finish(order, end.detail)
        elif end.how == "held":
            holder = Claims(self.run.context.out).holder(order.id())
        elif end.how == "died":
            status: Status = "oom" if end.of_memory else "failed"
            holder = give_up(order, self.run, status, died(end.times, end.detail), self.emit)
        elif end.how == "hung" and self.run.timeout is not None:
            holder = give_up(order, self.run, "timeout", too_long(self.run.timeout), self.emit)
        if end.how == "held" or holder is not None:
            wait_for(order, holder, self.watch, self.emit)

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
            self._tell_to_stop(at_once=False)
            under_way = self._under_way()
            while any(not future.done() for future in under_way) and time.monotonic() < limit:
                time.sleep(0.1)
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        finally:
            self._tell_to_stop(at_once=True)

    def _tell_to_stop(self, at_once: bool) -> None:
        """Tells all workers, and does not wait long for one that does not answer."""

        with contextlib.suppress(Exception):  # a worker or the scheduler may be gone
            _within(_TELL_SECONDS, lambda: self.client.run(stop, self.name, at_once=at_once))

    def _under_way(self) -> list[Any]:
        """The tasks of cells that a worker has; the others wait for one."""
        with contextlib.suppress(Exception):
            held = self.client.sync(self.client.scheduler.processing, workers=None, callback_timeout=_TELL_SECONDS)
            keys = {key for tasks in held.values() for key in tasks}
            return [future for future in self.orders if future.key in keys]
        return []


def _within(seconds: float, action: Callable[[], object]) -> None:
    """Does what asks all workers, of which one that hangs never answers.

    Raises:
        TimeoutError: it has taken too long; nobody waits for it any more.
    """
    errors: list[Exception] = []

    def act() -> None:
        try:
            action()
        except Exception as error:  # for the thread that waits
            errors.append(error)

    thread = threading.Thread(target=act, name="ask-workers", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")


def _end(future: Any) -> End:
    """How a task ended.

    Raises:
        BenchError: a worker, or the scheduler, cannot go on.
    """
    from distributed import KilledWorker

    if future.status == "finished":
        end: End = future.result()
        return end
    if future.status != "error":
        raise BenchError(
            "the dask scheduler is gone; cells under way go on to their records, the same command goes on from there"
        )
    error = future.exception()
    if not isinstance(error, KilledWorker):
        raise BenchError(f"a dask worker cannot run cells: {type(error).__name__}: {error}")
    return End("died", "with its dask worker", int(getattr(error, "allowed_failures", 0)) + 1)


def _event(kind: str, fields: dict[str, Any]) -> Event:
    """What a worker has told, as it was before it travelled."""
    kinds: dict[str, Any] = {event.__name__: event for event in (CellStarted, CellProgress, CellLog)}
    event: Event = kinds[kind](**fields)
    return event
