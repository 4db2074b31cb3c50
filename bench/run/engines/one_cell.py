"""Carries out one cell in this process: claims it, runs it, writes its record."""

from __future__ import annotations

import contextlib
import time

from bench.core.errors import BenchError
from bench.core.reporter import Reporter
from bench.plugins import Registries
from bench.results.claims import Claim, Claims, HeldClaim
from bench.results.records import Record, RecordStore, Status
from bench.run.cell import run_cell
from bench.run.engines.engine import Emit, Order, Work, ended_elsewhere, is_finished
from bench.run.engines.events import CellFinished, CellLog, CellProgress, CellStarted


def carry_out(order: Order, registries: Registries, work: Work, emit: Emit) -> Claim | None:
    """Runs one cell and tells ``emit``; a cell that was finished elsewhere meanwhile only has its record told.

    Returns:
        None, or the claim of the process that works on the cell: nothing was done.

    Raises:
        KeyboardInterrupt: the user stopped it; the cell is recorded as interrupted.
        ClaimLost: the cell was taken over; nothing was recorded.
    """
    store = RecordStore(work.context.out)
    taken = Claims(work.context.out).take(order.id(), order.planned.cell.title(), order.silent)
    if isinstance(taken, Claim):
        return taken
    finished = False
    try:
        record = store.read(order.id())
        if record is None or not ended_elsewhere(record, order):
            record = _run(order, registries, work, taken, emit)
        finished = is_finished(record)
    finally:
        taken.release(finished)
    emit(CellFinished(record))
    return None


def _run(order: Order, registries: Registries, work: Work, claim: HeldClaim, emit: Emit) -> Record:
    cell_id, cell = order.id(), order.planned.cell
    store = RecordStore(work.context.out)
    emit(CellStarted(cell_id, cell.title()))

    def step(phase: str, number: int, total: int, loss: float | None) -> None:
        claim.progress(phase, number, total)
        emit(CellProgress(cell_id, phase, number, total, loss))  # type: ignore[arg-type]

    reporter = Reporter(step, lambda message: emit(CellLog(cell_id, message)), work.deadline)
    if work.timeout is not None:
        limit = time.monotonic() + work.timeout
        if work.deadline is None or limit < work.deadline:
            reporter = Reporter(step, reporter.log, limit, too_long(work.timeout))

    def write(record: Record) -> None:
        claim.check()
        store.write(record)

    try:
        return run_cell(order.planned, registries, work.context, reporter, write)
    except KeyboardInterrupt:
        kept = store.read(cell_id)
        if kept is not None and ended_elsewhere(kept, order):  # its own record is written already: it was tidying up
            raise
        with contextlib.suppress(BenchError):  # a full disk: there is no record, and so the cell is still to do
            write(Record(cell, "interrupted", "stopped by the user; run the same command again to go on"))
        raise
    except BenchError as error:  # its record cannot be written; what it has done is in its checkpoints
        return Record(cell, "failed", str(error))


def too_long(timeout: float) -> str:
    """The reason of a cell that took longer than it may."""
    return f"took longer than --timeout {timeout / 60:g} minutes; the same command goes on from its checkpoint"


def give_up(order: Order, work: Work, status: Status, reason: str, emit: Emit) -> Claim | None:
    """Records a cell whose process is dead or had to be killed.

    Returns:
        None, or the claim of the process that works on the cell by now: nothing was recorded.
    """
    taken = Claims(work.context.out).take(order.id(), order.planned.cell.title(), order.silent)
    if isinstance(taken, Claim):
        return taken
    finished = False
    try:
        store = RecordStore(work.context.out)
        record = store.read(order.id())
        if record is None or not ended_elsewhere(record, order):
            record = Record(order.planned.cell, status, reason)
            store.write(record)
        finished = is_finished(record)
    finally:
        taken.release(finished)
    emit(CellFinished(record))
    return None
