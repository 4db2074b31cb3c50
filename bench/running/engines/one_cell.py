"""Carries out one cell in this process: claims it, runs it, writes its record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from bench.core.errors import BenchError
from bench.core.reporter import Reporter
from bench.plugins import Registries
from bench.results.claims import Claim, Claims, HeldClaim
from bench.results.records import Record, RecordStore, Status
from bench.running.cell import surroundings
from bench.running.cell.cell import run_cell
from bench.running.cell.spent import seconds_before
from bench.running.engines.engine import Emit, Order, Run, ended_elsewhere, is_finished
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted


def run_claimed(
    order: Order, registries: Registries, run: Run, emit: Emit, before: surroundings.State | None = None
) -> Claim | None:
    """Claims a cell, runs it and tells ``emit``; a cell that was finished elsewhere meanwhile only has its record told.

    Args:
        order, registries, run, emit: see there.
        before: see `run_cell`.

    Returns:
        None, or the claim of the process that works on the cell: nothing was done.

    Raises:
        KeyboardInterrupt: the user stopped it; the cell is recorded as interrupted.
        ClaimLost: the cell was taken over; nothing was recorded.
    """
    return _claimed(order, run, emit, lambda claim: _run(order, registries, run, claim, emit, before))


def give_up(order: Order, run: Run, status: Status, reason: str, emit: Emit) -> Claim | None:
    """Records a cell whose process is dead or had to be killed.

    Returns:
        None, or the claim of the process that works on the cell by now: nothing was recorded.
    """

    def written(claim: HeldClaim) -> Record:
        record = Record(order.planned.cell, status, reason, data=order.planned.told())
        RecordStore(run.context.out).write(record)
        return record

    return _claimed(order, run, emit, written)


def _claimed(order: Order, run: Run, emit: Emit, make: Callable[[HeldClaim], Record]) -> Claim | None:
    """Claims a cell and tells of its record, made now unless the cell was finished elsewhere meanwhile."""
    claim = Claims(run.context.out).take(order.id(), order.planned.title(), order.silent)
    if isinstance(claim, Claim):
        return claim
    finished = False
    try:
        record = RecordStore(run.context.out).read(order.id())
        if record is None or not ended_elsewhere(record, order):
            record = make(claim)
        finished = is_finished(record)
    finally:
        claim.release(finished)
    emit(CellFinished(record))
    return None


def _run(
    order: Order,
    registries: Registries,
    run: Run,
    claim: HeldClaim,
    emit: Emit,
    before: surroundings.State | None,
) -> Record:
    cell_id, cell = order.id(), order.planned.cell
    store = RecordStore(run.context.out)
    emit(CellStarted(cell_id, order.planned.title(), seconds_before(run.context, cell)))

    def step(phase: str, number: int, total: int, loss: float | None) -> None:
        number, total, loss = (
            int(number),
            int(total),
            None if loss is None else float(loss),
        )  # a plugin's protocol says them
        claim.progress(phase, number, total)
        emit(CellProgress(cell_id, phase, number, total, loss))  # type: ignore[arg-type]

    reporter = Reporter(step, lambda message: emit(CellLog(cell_id, message)), run.deadline)
    if run.timeout is not None:
        limit = time.monotonic() + run.timeout
        if run.deadline is None or limit < run.deadline:
            reporter = Reporter(step, reporter.log, limit, too_long(run.timeout))

    def write(record: Record) -> None:
        claim.check()
        store.write(record)

    try:
        return run_cell(order.planned, registries, run.context, reporter, write, before)
    except KeyboardInterrupt:
        record = store.read(cell_id)
        if ended_elsewhere(record, order):  # its own record is written already: it was tidying up
            raise
        with contextlib.suppress(BenchError):  # a full disk: there is no record, and so the cell is still to do
            write(Record(cell, "interrupted", "stopped by the user; run the same command again to go on"))
        raise
    except BenchError as error:  # its record cannot be written; what it has done is in its checkpoints
        return Record(cell, "failed", str(error))


def too_long(timeout: float) -> str:
    """The reason of a cell that took longer than it may."""
    return f"took longer than --timeout {timeout / 60:g} minutes; the same command goes on from its checkpoint"


def died(times: int, cause: str) -> str:
    """The reason of a cell whose processes die."""
    return f"its worker process died {times} times ({cause})" if times > 1 else f"its worker process died ({cause})"
