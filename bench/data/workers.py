"""Work on clips in parallel processes that survive a crashing decoder, an interrupted command and a killed parent."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Generic, TypeVar

from bench.core import lazy
from bench.core.errors import BenchError

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 8
"""The most items that a process gets at once: few enough for smooth progress, enough that handing them over costs little."""

UNGUARDED = "worker processes cannot be started here; a script needs its calls below if __name__ == '__main__'"


def check_guarded() -> None:
    """Ends a worker that imports its parent's script and meets unguarded calls there: it would wait for its parent for ever.

    Raises:
        BenchError: this is such a worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself tells
        raise BenchError(UNGUARDED)


def run(
    job: Callable[[Sequence[T]], list[R]],
    items: Sequence[T],
    workers: int,
    crashed: R,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], None] = lambda: None,
    arrived: Callable[[int, R], None] = lambda place, result: None,
) -> list[R]:
    """Results of all items, in order.

    Args:
        job: maps a few items to as many results; picklable; an exception it raises ends the work.
        items: what to work on.
        workers: number of processes; 1 means in this process, without protection against crashes.
        crashed: the result of an item that kills its process.
        progress: called with (done, all).
        stop: called when the work ends early, before processes are waited for: makes a long job return soon.
        arrived: called once with each item's place and result, in any order, while other items are still worked on.

    Raises:
        BenchError: no process can be started.
    """
    results: dict[int, R] = {}
    size = max(1, min(CHUNK, len(items) // (4 * workers)))
    chunks = [range(start, min(start + size, len(items))) for start in range(0, len(items), size)]

    def done(chunk: range, chunk_results: Sequence[R]) -> None:
        results.update(zip(chunk, chunk_results, strict=True))
        for place, result in zip(chunk, chunk_results, strict=True):
            arrived(place, result)
        if progress is not None:
            progress(len(results), len(items))

    if workers == 1:
        for chunk in chunks:
            done(chunk, job([items[i] for i in chunk]))
    while unfinished := [chunk for chunk in chunks if chunk.start not in results]:
        try:
            with _pool(min(workers, len(unfinished)), stop) as pool:
                _run_chunks(pool, job, items, unfinished, 2 * workers, done)
        except BrokenProcessPool:
            suspects = [chunk for chunk in unfinished if chunk.start not in results][: 2 * workers]
            _run_singly(job, items, suspects, crashed, stop, done)
    return [results[i] for i in range(len(items))]


def _run_chunks(
    pool: ProcessPoolExecutor,
    job: Callable[[Sequence[T]], list[R]],
    items: Sequence[T],
    chunks: Sequence[range],
    in_flight: int,
    done: Callable[[range, Sequence[R]], None],
) -> None:
    """Runs chunks in order, at most ``in_flight`` of them handed over at a time."""
    ahead = iter(chunks)
    running: dict[Future[list[R]], range] = {}
    while True:
        while len(running) < in_flight and (chunk := next(ahead, None)) is not None:
            running[pool.submit(job, [items[i] for i in chunk])] = chunk
        if not running:
            return
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(finished, key=lambda future: running[future].start):
            done(running.pop(future), future.result())


def _run_singly(
    job: Callable[[Sequence[T]], list[R]],
    items: Sequence[T],
    chunks: Sequence[range],
    crashed: R,
    stop: Callable[[], None],
    done: Callable[[range, Sequence[R]], None],
) -> None:
    """Runs chunks item by item, in one process at a time, to learn which item kills it."""
    for chunk in chunks:
        results: list[R] = []
        while len(results) < len(chunk):
            with _pool(1, stop) as pool:
                try:
                    pool.submit(_nothing).result()
                except BrokenProcessPool as error:
                    raise BenchError(UNGUARDED) from error
                try:
                    while len(results) < len(chunk):
                        results += pool.submit(job, [items[chunk[len(results)]]]).result()
                except BrokenProcessPool:
                    results.append(crashed)
        done(chunk, results)


@contextlib.contextmanager
def _pool(workers: int, stop: Callable[[], None]) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: this process may have threads of torch or of a decoder, which do not survive a fork.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start)
    try:
        yield pool
    except BrokenProcessPool:
        raise
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    """Prepares a worker process."""
    lazy.defer("torch")  # `bench.api` imports it, but no worker uses it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)  # a killed parent cannot end its workers


def _nothing() -> None:
    """A job that every worker can do that starts at all."""


@dataclass(frozen=True)
class Portable(Generic[T]):
    """An object of a class from anywhere, also from a ``--plugin`` file, which a worker process would not find by name.

    Attributes:
        files: of the modules that its class and what it holds may be defined in, by module name.
        pickled: the object.
    """

    files: dict[str, str]
    pickled: bytes

    @classmethod
    def of(cls, value: T) -> Portable[T]:
        """Packs an object. A job unpacks it with `load`, so that an error has a traceback."""
        from bench.plugins import PLUGIN_FILE_PREFIX  # not in workers: it would load torch there

        names = [name for name in sys.modules if name.startswith(PLUGIN_FILE_PREFIX)]
        files = {name: getattr(sys.modules[name], "__file__", None) for name in [*names, type(value).__module__]}
        return cls({name: file for name, file in files.items() if file is not None}, pickle.dumps(value))

    def load(self) -> T:
        """The object. Only the files that it needs are imported: others may need what a worker does not have."""
        while True:
            try:
                value: T = pickle.loads(self.pickled)  # noqa: S301 (made by the parent process a moment ago)
                return value
            except ModuleNotFoundError as error:
                module = error.name or ""
                if module not in self.files or module in sys.modules:
                    raise
                spec = importlib.util.spec_from_file_location(module, Path(self.files[module]))
                assert spec is not None
                assert spec.loader is not None
                sys.modules[module] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(sys.modules[module])
