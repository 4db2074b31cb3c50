"""One planned cell, from its plan to its record: distil, judge, record. Whatever happens, a record comes out."""

from __future__ import annotations

import contextlib
import datetime
import gc
import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from bench.core import traces
from bench.core.errors import BenchError, DoesNotFit, OutOfTime
from bench.core.files import write_atomic
from bench.core.precision import computing
from bench.core.reporter import Reporter
from bench.core.signals import Stopped, was_stopped
from bench.nets.builder import Builder
from bench.plugins import Registries
from bench.results.records import PhaseCost, Record, Status, log_file, total
from bench.running.cell import retry, surroundings
from bench.running.cell.attempt import Attempt
from bench.running.cell.checkpoints import once
from bench.running.cell.context import Context
from bench.running.cell.costs import count_set
from bench.running.cell.distil import distil
from bench.running.cell.findings import Findings, record
from bench.running.cell.judge import judge
from bench.running.cell.out_of_memory import says_out_of_memory
from bench.running.cell.provenance import environment, origins
from bench.running.cell.real_clips import describe, open_real
from bench.running.cell.retry import MICRO_BATCH
from bench.running.cell.shared_sets import is_archived
from bench.running.plan.plan import PlannedCell


def run_cell(
    planned: PlannedCell,
    registries: Registries,
    context: Context,
    reporter: Reporter,
    write: Callable[[Record], None] = lambda record: None,
    before: surroundings.State | None = None,
) -> Record:
    """Carries out a cell, going on from its checkpoint if there is one.

    Args:
        planned, registries, context, reporter: see there.
        write: keeps the record; only then are the cell's checkpoints removed. What it raises is passed on.
        before: what the process shared before the plugins of the cell were loaded; None for what it shares now.

    Returns:
        The record: ``ok``, or ``skipped``, ``failed``, ``oom``, ``timeout`` with the reason.

    Raises:
        Stopped: with what was kept of the cell in its checkpoint.
    """
    if planned.declined is not None:
        skipped = Record(planned.cell, "skipped", planned.declined, data=planned.told())
        write(skipped)
        return skipped
    if planned.fault is not None:
        fault, data = planned.fault, planned.told()
        faulty = Record(planned.cell, "failed", fault.reason, data=data, traceback=fault.traceback or None)
        write(faulty)
        return faulty
    started, before = _now(), before or surroundings.look()
    findings, folder = Findings(), context.checkpoints(planned.cell.id())
    attempt = _attempt(planned, registries, context, reporter, retry.read(folder))
    status, reason = _carry_out(attempt, findings)
    if status == "oom" and attempt.retried is None:
        reporter.log(f"{reason}; once more with at most {MICRO_BATCH} clips at a time")
        retried = retry.note(folder, reason, MICRO_BATCH, total(list(findings.costs().values())))
        attempt = _attempt(planned, registries, context, reporter, retried)
        findings = Findings(distils=findings.distils)
        _free(attempt.device)
        status, reason = _carry_out(attempt, findings)
    provenance = {
        **environment(context.device),
        **origins(planned, registries),
        "planned_flops": planned.flops,
        "started": started,
        "ended": _now(),
    }
    changed = surroundings.changes(before)
    finished = record(planned.cell, status, reason, findings, attempt.retried, provenance, changed)
    write(finished)
    _log(context, finished, findings.whole)
    if status in ("ok", "failed", "oom"):
        clear(attempt, findings)
    return finished


def _carry_out(attempt: Attempt, findings: Findings) -> tuple[Status, str]:
    """Distils and judges; ``findings`` is filled as far as it gets. How it ended, and why."""
    findings.data = attempt.planned.told()
    try:
        with computing(attempt.cell.precision):
            real = open_real(attempt)
            findings.data = describe(attempt, real) | _start(attempt.planned)
            stored = distil(attempt, real, findings)
            findings.journal = stored.account.journal
            findings.data |= stored.account.data
            archived = attempt.archive.name if is_archived(attempt, stored.synthetic) else None
            findings.report = count_set(stored.synthetic, archived)
            judge(stored, attempt, real, findings)
    except BaseException as error:  # whatever a method does, the record says it
        if isinstance(error, Stopped):
            raise
        if was_stopped(error):
            raise Stopped from error
        status, reason = _classify(error, attempt.planned.modules)
        if attempt.context.debug and status == "failed":
            if isinstance(error, BenchError):  # which would be told as a mistake of the user's, without its traceback
                raise RuntimeError(reason) from error
            raise
        if status == "failed":
            findings.traceback, findings.whole = traces.portable(error), traces.whole(error)
        peaks = _peaks(findings.costs(), attempt.retried is not None) if status == "oom" else ""
        return status, reason + peaks
    return "ok", ""


def _start(planned: PlannedCell) -> dict[str, Any]:
    """Which method makes the set that this one starts from, if it learns one."""
    start = planned.start
    return {} if start is None else {"start": {"method": start.method, "config": dict(start.values)}}


def _classify(error: BaseException, modules: Iterable[str]) -> tuple[Status, str]:
    """The status that an error gives a cell of plugins of these modules, and the reason in one line."""
    if isinstance(error, OutOfTime):
        return "timeout", str(error)
    text = traces.said(error)
    if says_out_of_memory(error):
        return "oom", text or "out of memory"
    if isinstance(error, DoesNotFit):
        return "skipped", text
    if isinstance(error, BenchError):
        return "failed", text
    if isinstance(error, OSError) and error.filename is not None:
        return "failed", f"{error.filename}: {error.strerror}"
    return "failed", traces.fault(error, modules).reason


def _attempt(
    planned: PlannedCell,
    registries: Registries,
    context: Context,
    reporter: Reporter,
    retried: dict[str, Any] | None,
) -> Attempt:
    """An attempt at the cell, with fewer clips at a time if an earlier one ran out of memory."""
    say, device = once(reporter.log), torch.device(context.device)
    most_clips = None if retried is None else MICRO_BATCH
    builder = Builder(device, planned.cell.precision, most_clips, say)
    return Attempt(planned, registries, context, reporter, builder, say, retried)


def clear(attempt: Attempt, findings: Findings) -> None:
    """Removes what going on would have needed."""
    shutil.rmtree(attempt.checkpoints, ignore_errors=True)
    if findings.distils:
        state = attempt.distillation_state
        with contextlib.suppress(OSError):  # another cell of the same set has checkpoints there, or it is no folder
            state.unlink(missing_ok=True)
            state.parent.rmdir()


def _log(context: Context, finished: Record, whole: str) -> None:
    """Keeps the traceback of a failed cell, with all folders; removes that of an earlier attempt."""
    path = log_file(context.out, finished.id)
    with contextlib.suppress(OSError):
        if whole:
            write_atomic(path, f"{finished.title()}: {finished.status}\n{finished.reason}\n\n{whole}".encode())
        else:
            path.unlink(missing_ok=True)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


# ----------------------------------------------------------------------------------------------------------------------
# Out of memory


def _peaks(costs: Mapping[str, PhaseCost], again: bool) -> str:
    """The most memory that any phase had in use, in brackets; ``again``: in a second attempt."""
    peak = total(list(costs.values()))
    sizes = {"GPU memory": peak.peak_device_bytes, "memory of the process": peak.peak_host_bytes}
    in_words = [f"{size / 2**30:.2f} GiB {what}" for what, size in sizes.items() if size]
    also = f"; also with {MICRO_BATCH} clips at a time" if again else ""
    return f"{also} (at its peak {', '.join(in_words)})" if in_words else also


def _free(device: torch.device) -> None:
    """Gives memory back: what an error held in its frames is gone with the error."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
