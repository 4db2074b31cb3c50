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
from bench.results.records import Status
from bench.running.cell import retry
from bench.running.engines.engine import Emit, Engine, Order, Run, StoppedAtOnce
from bench.running.engines.events import CellHeld, CellLog
from bench.running.engines.one_cell import died, give_up, too_long
from bench.running.engines.watch import Watch, look, wait_for
from bench.running.engines.worker import Worker, ended, is_worn, pack, warm_up

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
    def run(self, cells: Sequence[Order], run: Run, emit: Emit) -> None:
        _Pool(run, min(self.jobs, max(1, len(cells))), emit).carry_out(cells)

    @override
    def close(self) -> None:
        """Nothing outlives `run`."""


# ----------------------------------------------------------------------------------------------------------------------
# Worker processes


@dataclass
class _Place:
    """A worker process and the cell that it is at."""

    worker: Worker
    order: Order | None = None


@final
class _Pool:
    """Worker processes that are handed one cell at a time; one that dies is replaced, and its cell tried again."""

    def __init__(self, run: Run, jobs: int, emit: Emit) -> None:
        self.run = run
        self.jobs = jobs
        self.emit = emit
        self.waiting: deque[Order] = deque()
        self.watch = Watch(run.context.out)
        self.places: list[_Place] = []
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
                    self._listen(place)
                    if place.order is not None and dead:
                        self.places.remove(place)
                        self._bury(place.worker, place.order)
                self.waiting += look(self.watch, self.emit)
        except KeyboardInterrupt:
            self._stop()
            raise
        except BaseException:
            self._kill()
            raise

    def _start_what_can(self) -> None:
        for place in list(self.places):
            if place.order is None and (not self.waiting or self.run.is_late()):
                place.worker.close()
                self.places.remove(place)
            elif place.order is None:
                self._hand_over(place)
        while self.waiting and len(self.places) < self.jobs and not self.run.is_late():
            threads = max(1, torch.get_num_threads() // self.jobs)
            self.places.append(_Place(Worker(self.run, threads)))
            self._hand_over(self.places[-1])

    def _hand_over(self, place: _Place) -> None:
        place.order = self.waiting.popleft()
        place.worker.hand_over(pack(place.order, self.indexes))

    def _listen(self, place: _Place) -> None:
        for event in place.worker.events():
            if ended(event):
                order, place.order = place.order, None
                if is_worn(event, self.run.context.device):
                    self.places.remove(place)
                    place.worker.close()
                if isinstance(event, CellHeld):
                    assert order is not None
                    wait_for(order, event.holder, self.watch, self.emit)
                    return
            if not isinstance(event, CellHeld):
                self.emit(event)

    def _bury(self, worker: Worker, order: Order) -> None:
        """Tries the cell of a worker that died without a word again, or records it.

        Raises:
            BenchError: no worker can be started.
        """
        worker.pipe.close()  # should it live though the server that it was forked from does not, it ends now
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
                place.worker.process.join(max(0.0, limit - time.monotonic()))
        except KeyboardInterrupt:
            raise StoppedAtOnce from None
        finally:
            self._kill()

    def _kill(self) -> None:
        for place in self.places:
            place.worker.kill()
