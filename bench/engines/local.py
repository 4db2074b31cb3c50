"""The local engine: cells one after another in this process, or several at once in worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from bench import plugins
from bench.cell import Context, run_cell
from bench.engines.events import CellFinished, CellLog, CellProgress, CellStarted, Event
from bench.errors import BenchError
from bench.grid import PlannedCell
from bench.plugins import Registries
from bench.store.records import Record, RecordStore
from bench.task import Reporter

Emit = Callable[[Event], None]

# How long workers may take to write what they have after the first Ctrl-C.
_GRACE_SECONDS = 10.0


def run(
    cells: Sequence[PlannedCell],
    registries: Registries,
    plugin_files: Sequence[str],
    context: Context,
    jobs: int,
    deadline: float | None,
    emit: Emit,
) -> None:
    """Runs cells and writes each record the moment its cell ends.

    Args:
        cells: in the order they are started.
        registries: all parts.
        plugin_files: as given with ``--plugin``; workers load them anew.
        context: where and on what.
        jobs: cells at a time; 1 runs them in this process.
        deadline: wall-clock time after which no cell starts and running ones stop, or None.
        emit: told of everything that happens, in this process.

    Raises:
        KeyboardInterrupt: the user stopped it; cells under way are recorded as interrupted.
    """
    if jobs == 1 or len(cells) <= 1:
        for planned in cells:
            if _is_late(deadline):
                return
            carry_out(planned, registries, context, deadline, emit)
    else:
        _Pool(plugin_files, context, min(jobs, len(cells)), deadline, emit).run(cells)


def carry_out(
    planned: PlannedCell, registries: Registries, context: Context, deadline: float | None, emit: Emit
) -> None:
    """Runs one cell in this process, writes its record and tells ``emit``."""
    cell_id = planned.cell.id()
    store = RecordStore(context.out)
    emit(CellStarted(cell_id, planned.cell.title()))
    reporter = Reporter(
        step=lambda phase, step, total, loss: emit(CellProgress(cell_id, phase, step, total, loss)),  # type: ignore[arg-type]
        log=lambda message: emit(CellLog(cell_id, message)),
        deadline=deadline,
    )
    try:
        record = run_cell(planned, registries, context, reporter, store.write)
    except KeyboardInterrupt:
        with contextlib.suppress(BenchError):  # a full disk: there is no record, and so the cell is still to do
            store.write(Record(planned.cell, "interrupted", "stopped by the user; run the same command again to go on"))
        raise
    except BenchError as error:  # its record cannot be written; what it has done is in its checkpoints
        record = Record(planned.cell, "failed", str(error))
    emit(CellFinished(record))


def _is_late(deadline: float | None) -> bool:
    return deadline is not None and time.time() > deadline


# ----------------------------------------------------------------------------------------------------------------------
# Worker processes


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    cell: PlannedCell | None = None


class _Pool:
    """Worker processes that are handed one cell at a time; one that dies costs its cell and is replaced."""

    def __init__(
        self, plugin_files: Sequence[str], context: Context, jobs: int, deadline: float | None, emit: Emit
    ) -> None:
        self.plugin_files = tuple(plugin_files)
        self.context = context
        self.jobs = jobs
        self.deadline = deadline
        self.emit = emit

    def run(self, cells: Sequence[PlannedCell]) -> None:
        """Runs all cells; see `run`."""
        waiting = list(reversed(cells))
        workers: list[_Worker] = []
        try:
            while True:
                while waiting and len(workers) < self.jobs and not _is_late(self.deadline):
                    workers.append(self._start())
                    self._hand_over(workers[-1], waiting.pop())
                if not workers:
                    return
                handles = [worker.pipe for worker in workers] + [worker.process.sentinel for worker in workers]
                ready = multiprocessing.connection.wait(handles)
                for worker in list(workers):
                    self._listen(worker)
                    if worker.cell is None and waiting and not _is_late(self.deadline):
                        self._hand_over(worker, waiting.pop())
                    elif worker.cell is None:
                        worker.pipe.close()  # tells the worker to end
                        worker.process.join()
                        workers.remove(worker)
                    elif worker.process.sentinel in ready and not worker.process.is_alive():
                        self._bury(worker)
                        workers.remove(worker)
        except KeyboardInterrupt:
            self._stop(workers, _GRACE_SECONDS)
            raise
        except BaseException:
            self._stop(workers, 0.0)
            raise

    def _start(self) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        threads = max(1, torch.get_num_threads() // self.jobs)
        process = spawn.Process(target=_work, args=(there, self.plugin_files, self.context, self.deadline, threads))
        process.start()
        there.close()
        return _Worker(process, here)

    def _hand_over(self, worker: _Worker, cell: PlannedCell) -> None:
        worker.cell = cell
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile; its sentinel says so
            worker.pipe.send(cell)

    def _listen(self, worker: _Worker) -> None:
        while True:
            try:
                if not worker.pipe.poll():
                    return
                event = worker.pipe.recv()
            except (EOFError, OSError):
                return
            if isinstance(event, CellFinished):
                worker.cell = None
            self.emit(event)

    def _bury(self, worker: _Worker) -> None:
        """Records the cell of a worker that died without a word."""
        assert worker.cell is not None
        code = worker.process.exitcode
        cause = f"exit code {code}"
        if code is not None and code < 0:
            cause = signal.Signals(-code).name
        hint = "; the system may have run out of memory" if cause == "SIGKILL" else ""
        record = Record(worker.cell.cell, "failed", f"its worker process died ({cause}{hint})")
        with contextlib.suppress(BenchError):  # a full disk: there is no record, and so the cell is still to do
            RecordStore(self.context.out).write(record)
        self.emit(CellFinished(record))

    def _stop(self, workers: Sequence[_Worker], grace: float) -> None:
        """Gives workers, which got the same Ctrl-C, a moment to write what they have; a second Ctrl-C kills them."""
        limit = time.monotonic() + grace
        try:
            for worker in workers:
                worker.process.join(max(0.0, limit - time.monotonic()))
        finally:
            for worker in workers:
                worker.process.kill()


def _work(
    pipe: Connection, plugin_files: Sequence[str], context: Context, deadline: float | None, threads: int
) -> None:
    """The life of a worker process: cells in, events out, until the pipe closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        registries = plugins.load(plugin_files)
        while True:
            carry_out(pipe.recv(), registries, context, deadline, pipe.send)
    except (EOFError, KeyboardInterrupt):
        return


def _die_with_parent() -> None:
    """Ends this process when the driver is gone, so that a killed run leaves nobody working on its cells."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
