"""A worker process, seen from its parent: what it dies of costs only the cell it was at."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, final

from bench.api import ClipIndex
from bench.core.leftovers import end_orphans
from bench.running.engines import oom_killer
from bench.running.engines.engine import Order, Run
from bench.running.engines.events import CellFinished, CellHeld, Event, is_sound
from bench.running.engines.worker_process import Fault, Ready, serve

# A cell that does not notice that its time is up, because its method hangs, is killed this much later.
HANGING_SECONDS = 60.0

# A process whose cell has its record is killed if it has not ended by itself after so long.
ENDING_SECONDS = 5.0

# The exit code of a process whose server died before it (`multiprocessing.popen_forkserver`).
_UNKNOWN = 255

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # huge pages where the system grants them
}
"""How glibc keeps memory in worker processes: maps of a network come and go in every step, and asking the system for them each time
takes a tenth of a step of clips of 32 pixels. Read when a process starts; other C libraries do not know these variables."""

# What a process may have died of, by its signal.
_MAY_BE = {
    "SIGKILL": "; the system may have run out of memory",
    "SIGABRT": "; a library may have run out of memory",
    "SIGBUS": "; a file that it read may have been cut short, or its disk may be full",
}

# Held while a process is started: until it is known to this one, it looks like what a dead one has left.
_STARTING = threading.Lock()

# How often a process is tried to be started; a tenth of a second lies between.
_TRIES = 20


@dataclasses.dataclass(frozen=True)
class Parcel:
    """An order as bytes: it is unpacked only where the plugins that its classes come from are loaded.

    Attributes:
        modules: of the plugins that it needs.
        order: without the index of its dataset.
        index: which many orders share, and which may be large.
    """

    modules: tuple[str, ...]
    order: bytes
    index: bytes


def pack(order: Order, indexes: dict[int, bytes]) -> Parcel:
    """The order as bytes; ``indexes`` keeps the bytes of each index (by identity) from call to call."""
    index = order.planned.index
    if id(index) not in indexes:
        indexes[id(index)] = pickle.dumps(index)
    bare = dataclasses.replace(order.planned, index=ClipIndex(index.dataset, (), (), index.fingerprint))
    modules = tuple(sorted(order.planned.modules))
    return Parcel(modules, pickle.dumps(dataclasses.replace(order, planned=bare)), indexes[id(index)])


def warm_up() -> None:
    """Begins to load what worker processes need, beside what this process does meanwhile."""
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        with _no_interrupt():
            forkserver.ensure_running()


def prepare_environment() -> None:
    """Sets `ALLOCATOR` for processes that start from now on, but for what the user has set."""
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)


def _context() -> Any:
    """How worker processes come to be: forked from a server, which has loaded torch and done nothing with it. So each costs
    milliseconds, and no thread is lost in the fork. Elsewhere than on Linux libraries do not bear a fork: spawned."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    prepare_environment()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.preload"])
    return context


@final
class Worker:
    """A process for one cell, which it waits for.

    Args:
        run: see there.
        threads: of torch; None leaves that to it.
        share: cells at a time, which share these threads.
    """

    def __init__(self, run: Run, threads: int | None, share: int = 1) -> None:
        context = _context()
        self.pipe, there = context.Pipe()
        # With the variables of now: the server has those of its own start.
        self.process: Any = context.Process(target=serve, args=(there, run, threads, share, dict(os.environ)))
        self._timeout = run.timeout
        self._killed_at: float | None = None
        self._fault: str | None = None
        self._ready = False
        self._server: int | None = None
        self.is_late = False
        self._killed_before = oom_killer.count()
        with _no_interrupt(), _STARTING:
            self._start()
        there.close()

    def _start(self) -> None:
        """Starts it. A server that was killed a moment ago does not answer, and is replaced once it is seen to be gone."""
        for _ in range(_TRIES):
            try:
                self.process.start()
                return
            except (ConnectionError, EOFError):
                time.sleep(0.1)
        self.process.start()

    def hand_over(self, parcel: Parcel) -> None:
        """Gives it its cell."""
        if self._timeout is not None:
            self._killed_at = time.monotonic() + self._timeout + HANGING_SECONDS
        with contextlib.suppress(OSError):  # it died meanwhile; its sentinel says so
            self.pipe.send(parcel.modules)
            self.pipe.send_bytes(parcel.order)
            self.pipe.send_bytes(parcel.index)

    def events(self) -> Iterator[Event | CellHeld]:
        """What it has told since the last time, without waiting. The last event of a cell is `CellFinished` or `CellHeld`."""
        while True:
            try:
                if not self.pipe.poll():
                    return
                event = self.pipe.recv()
            except (EOFError, OSError):
                return
            except Exception:  # something that is no event, and that cannot be read here
                continue
            if isinstance(event, Fault):
                self._fault = event.message
            elif isinstance(event, Ready):
                self._ready, self._server = True, event.server
            elif is_sound(event):
                yield event

    def is_dead(self) -> bool:
        """Whether it has ended; kills one whose cell has hung for too long after its time."""
        if self._killed_at is not None and time.monotonic() > self._killed_at:
            self.is_late = True
            self.process.kill()
            self.process.join()
        return not self.process.is_alive()

    def cannot_start(self) -> bool:
        """Whether it died of an error before it could take a cell, as every other one would; known once it is dead."""
        return not self._ready and self.process.exitcode == 1

    def cause(self) -> str:
        """What it died of."""
        if self._fault is not None:
            return self._fault
        code = self.process.exitcode
        if code == _UNKNOWN:
            return "the process that it was forked from died"
        if code is None or code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        if self.ran_out_of_memory():
            return f"{name}; the system ran out of memory and killed it"
        return name + _MAY_BE.get(name, "")

    def ran_out_of_memory(self) -> bool:
        """Whether the system killed it for memory, as far as the system tells; known once it is dead."""
        if self._fault is not None or self.process.exitcode != -signal.SIGKILL or self._killed_before is None:
            return False
        return (oom_killer.count() or 0) > self._killed_before

    def interrupt(self) -> None:
        """Asks it to record its cell as interrupted and to end; a terminal's Ctrl-C may have done so already."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.is_alive() or self.process.exitcode == _UNKNOWN:  # the server's end says nothing of its own
                os.kill(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float) -> None:
        """Waits for its end, but not longer; what it still tells is not heard.

        Its end of the pipe says when that is: whoever ends a whole group of processes ends the server that knows its exit code.
        """
        limit = time.monotonic() + seconds
        with contextlib.suppress(EOFError, OSError):
            while (left := limit - time.monotonic()) > 0 and self.pipe.poll(left):
                with contextlib.suppress(pickle.UnpicklingError, AttributeError, ImportError):
                    self.pipe.recv()

    def close(self) -> None:
        """Ends it when its cell has ended, or before it has one; waits until its memory is free, but not for ever."""
        self.pipe.close()
        self.process.join(ENDING_SECONDS)
        if self.process.exitcode != 0:
            self.kill()

    def kill(self) -> None:
        """Ends it, and all that it has started, at once."""
        self.pipe.close()  # should it live though the server that it was forked from does not, it ends now
        self.process.kill()
        self.process.join()
        if self._server is not None:
            with _STARTING:
                end_orphans(self._server)


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Holds Ctrl-C off, also in a process that is started here, which lets it come when it is ready for it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # before: its start would let Ctrl-C come again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ended(event: Event | CellHeld) -> bool:
    """Whether a worker process has done its work after this event."""
    return isinstance(event, CellFinished | CellHeld)
