"""The local engine: each cell in a worker process, one or several at a time."""

from __future__ import annotations

import multiprocessing.connection
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from typing_extensions import override

from bench.core.errors import BenchError
from bench.data.workers import UNGUARDED
from bench.results.claims import Claim
from bench.run.engines.engine import Emit, Engine, Order, StoppedAtOnce, Work
from bench.run.engines.events import CellFinished, CellHeld, CellLog
from bench.run.engines.one_cell import give_up, too_long
from bench.run.engines.watch import Watch, who
from bench.run.engines.worker import Child, ended, is_worn, pack, warm_up

# How long workers may take to write what they have after the first Ctrl-C.
_GRACE_SECONDS = 10.0

# How often cells that others work on are looked at.
LOOK_SECONDS = 1.0


@final
class Local(Engine):
    """Cells on this machine.

    Args:
        jobs: cells at a time. A single one, too, has a worker process: what that dies of does not end the others.
    """

    name = "local"

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        warm_up()

    @override
    def run(self, cells: Sequence[Order], work: Work, emit: Emit) -> None:
        _Pool(work, min(self.jobs, max(1, len(cells))), emit).run(cells)

    @override
    def close(self) -> None:
        """Nothing outlives `run`."""


def _wait_for(order: Order, holder: Claim | None, watch: Watch, emit: Emit) -> None:
    watch.add(order)
    emit(CellLog(order.id(), who(holder)))


def _look(watch: Watch, emit: Emit) -> list[Order]:
    """Tells of cells that others have finished; returns those that are free again."""
    finished, free = watch.look()
    for record in finished:
        emit(CellFinished(record))
    return free


# ----------------------------------------------------------------------------------------------------------------------
# Worker processes


@dataclass
class _Worker:
    child: Child
    order: Order | None = None


@final
class _Pool:
    """Worker processes that are handed one cell at a time; one that dies is replaced, and its cell tried again."""

    def __init__(self, work: Work, jobs: int, emit: Emit) -> None:
        self.work = work
        self.jobs = jobs
        self.emit = emit
        self.waiting: deque[Order] = deque()
        self.watch = Watch(work.context.out)
        self.workers: list[_Worker] = []
        self.deaths: Counter[str] = Counter()
        self.indexes: dict[int, bytes] = {}

    def run(self, cells: Sequence[Order]) -> None:
        """Runs all cells; see `Engine.run`."""
        self.waiting += cells
        try:
            while True:
                self._start_what_can()
                if not self.workers and (not len(self.watch) or self.work.is_late()):
                    return
                pipes = [worker.child.pipe for worker in self.workers]
                ends = [worker.child.process.sentinel for worker in self.workers]
                multiprocessing.connection.wait([*pipes, *ends], timeout=LOOK_SECONDS)
                if not self.workers:
                    time.sleep(LOOK_SECONDS)
                for worker in list(self.workers):
                    dead = worker.child.is_dead()  # before listening: what it told before it died is heard
                    self._listen(worker)
                    if worker.order is not None and dead:
                        self.workers.remove(worker)
                        self._bury(worker.child, worker.order)
                self.waiting += _look(self.watch, self.emit)
        except KeyboardInterrupt:
            self._stop()
            raise
        except BaseException:
            self._kill()
            raise

    def _start_what_can(self) -> None:
        for worker in list(self.workers):
            if worker.order is None and (not self.waiting or self.work.is_late()):
                worker.child.close()
                self.workers.remove(worker)
            elif worker.order is None:
                self._hand_over(worker)
        while self.waiting and len(self.workers) < self.jobs and not self.work.is_late():
            threads = max(1, torch.get_num_threads() // self.jobs)
            self.workers.append(_Worker(Child(self.work, threads)))
            self._hand_over(self.workers[-1])

    def _hand_over(self, worker: _Worker) -> None:
        worker.order = self.waiting.popleft()
        worker.child.hand_over(pack(worker.order, self.indexes))

    def _listen(self, worker: _Worker) -> None:
        for event in worker.child.events():
            if ended(event):
                order, worker.order = worker.order, None
                if is_worn(event, self.work.context.device):
                    self.workers.remove(worker)
                    worker.child.close()
                if isinstance(event, CellHeld):
                    assert order is not None
                    _wait_for(order, event.holder, self.watch, self.emit)
                    return
            if not isinstance(event, CellHeld):
                self.emit(event)

    def _bury(self, child: Child, order: Order) -> None:
        """Tries the cell of a worker that died without a word again, or records it.

        Raises:
            BenchError: no worker can be started.
        """
        child.pipe.close()  # should it live though the server that it was forked from does not, it ends now
        if child.cannot_start():
            raise BenchError(UNGUARDED)
        self.deaths[order.id()] += 1
        times = self.deaths[order.id()]
        if child.is_late and self.work.timeout is not None:
            holder = give_up(order, self.work, "timeout", too_long(self.work.timeout), self.emit)
        elif times < self.work.attempts:
            self.emit(CellLog(order.id(), f"its worker process died ({child.cause()}); trying it again"))
            self.waiting.appendleft(order)
            return
        else:
            holder = give_up(order, self.work, "failed", died(times, child.cause()), self.emit)
        if holder is not None:
            _wait_for(order, holder, self.watch, self.emit)

    def _stop(self) -> None:
        """Gives workers a moment to write what they have; a second Ctrl-C kills them."""
        limit = time.monotonic() + _GRACE_SECONDS
        try:
            for worker in self.workers:
                worker.child.interrupt()
            for worker in self.workers:
                worker.child.process.join(max(0.0, limit - time.monotonic()))
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        finally:
            self._kill()

    def _kill(self) -> None:
        for worker in self.workers:
            worker.child.kill()


def died(times: int, cause: str) -> str:
    """The reason of a cell whose processes die."""
    return f"its worker process died {times} times ({cause})" if times > 1 else f"its worker process died ({cause})"
