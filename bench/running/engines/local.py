"""The local engine: each cell in a worker process, one or several at a time."""

from __future__ import annotations

import multiprocessing.connection
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from bench.core.errors import BenchError
from bench.data.workers import UNGUARDED
from bench.results.records import Status
from bench.running.cell import retry
from bench.running.engines.engine import Emit, Engine, Order, Run, StoppedAtOnce
from bench.running.engines.events import CellHeld, CellLog
from bench.running.engines.one_cell import died, give_up, too_long
from bench.running.engines.watch import Watch, look, wait_for
from bench.running.engines.worker import Worker, ended, pack, warm_up

# How long workers may take to write what they have after the first Ctrl-C.
_GRACE_SECONDS = 10.0

# How often cells that others work on are looked at.
LOOK_SECONDS = 1.0


@final
class Local(Engine):
    """Cells on this machine.

    Args:
        jobs: cells at a time. Each has a process of its own, a single one, too.
        threads: of torch, which these share; None for as many as it takes.
    """

    name = "local"

    def __init__(self, jobs: int, threads: int | None = None) -> None:
        self.jobs = jobs
        self.threads = threads
        warm_up()

    @override
    def run(self, cells: Sequence[Order], run: Run, emit: Emit) -> None:
        _Pool(run, min(self.jobs, max(1, len(cells))), self.threads, emit).carry_out(cells)

    @override
    def close(self) -> None:
        """Nothing outlives `run`."""


# ----------------------------------------------------------------------------------------------------------------------
# Worker processes


@dataclass
class _Place:
    """A worker process and its cell."""

    worker: Worker
    order: Order


@final
class _Pool:
    """Worker processes, each with one cell; that of one that dies is tried again.

    While cells run, the next process waits for its cell: to start one takes a moment.
    """

    def __init__(self, run: Run, jobs: int, threads: int | None, emit: Emit) -> None:
        self.run = run
        self.jobs = jobs
        self.threads = threads
        self.emit = emit
        self.waiting: deque[Order] = deque()
        self.watch = Watch(run.context.out)
        self.places: list[_Place] = []
        self.spare: Worker | None = None
        self.deaths: Counter[str] = Counter()
        self.indexes: dict[int, bytes] = {}

    def carry_out(self, cells: Sequence[Order]) -> None:
        """Runs all cells; see `Engine.run`."""
        self.waiting += cells
        try:
            while True:
                self._start_what_can()
                if not self.places and (not len(self.watch) or self.run.is_late()):
                    return
                pipes = [place.worker.pipe for place in self.places]
                ends = [place.worker.process.sentinel for place in self.places]
                multiprocessing.connection.wait([*pipes, *ends], timeout=LOOK_SECONDS)
                if not self.places:
                    time.sleep(LOOK_SECONDS)
                for place in list(self.places):
                    dead = place.worker.is_dead()  # before listening: what it told before it died is heard
                    if self._has_ended(place):
                        self.places.remove(place)
                        place.worker.close()
                    elif dead:
                        self.places.remove(place)
                        self._bury(place.worker, place.order)
                self.waiting += look(self.watch, self.emit)
        except KeyboardInterrupt:
            self._stop()
            raise
        except BaseException:
            self._kill()
            raise
        finally:
            if self.spare is not None:
                self.spare.close()

    def _start_what_can(self) -> None:
        """Hands cells to processes, and has the next process ready if there is a cell for it."""
        while self.waiting and len(self.places) < self.jobs and not self.run.is_late():
            place = _Place(self._next(), self.waiting.popleft())
            self.places.append(place)
            place.worker.hand_over(pack(place.order, self.indexes))
        if self.waiting and self.places and self.spare is None and not self.run.is_late():
            self.spare = self._started()

    def _next(self) -> Worker:
        """The process that waits, or a new one."""
        spare, self.spare = self.spare, None
        if spare is not None and not spare.is_dead():
            return spare
        return self._started()

    def _started(self) -> Worker:
        return Worker(self.run, self.threads, self.jobs)

    def _has_ended(self, place: _Place) -> bool:
        """Passes on what a worker process has told; whether its cell has ended."""
        for event in place.worker.events():
            if isinstance(event, CellHeld):
                wait_for(place.order, event.holder, self.watch, self.emit)
            else:
                self.emit(event)
            if ended(event):
                return True
        return False

    def _bury(self, worker: Worker, order: Order) -> None:
        """Tries the cell of a worker that died without a word again, or records it.

        Raises:
            BenchError: no worker can be started.
        """
        worker.kill()
        if worker.cannot_start():
            raise BenchError(UNGUARDED)
        self.deaths[order.id()] += 1
        times = self.deaths[order.id()]
        if worker.is_late and self.run.timeout is not None:
            holder = give_up(order, self.run, "timeout", too_long(self.run.timeout), self.emit)
        elif times < self.run.attempts:
            if worker.ran_out_of_memory():
                retry.note(self.run.context.checkpoints(order.id()), died(times, worker.cause()))
            self.emit(CellLog(order.id(), f"its worker process died ({worker.cause()}); trying it again"))
            self.waiting.appendleft(order)
            return
        else:
            status: Status = "oom" if worker.ran_out_of_memory() else "failed"
            holder = give_up(order, self.run, status, died(times, worker.cause()), self.emit)
        if holder is not None:
            wait_for(order, holder, self.watch, self.emit)

    def _stop(self) -> None:
        """Gives workers a moment to write what they have; a second Ctrl-C kills them."""
        limit = time.monotonic() + _GRACE_SECONDS
        try:
            for place in self.places:
                place.worker.interrupt()
            for place in self.places:
                place.worker.wait(max(0.0, limit - time.monotonic()))
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        finally:
            self._kill()

    def _kill(self) -> None:
        for place in self.places:
            place.worker.kill()
