"""A run in a terminal or a notebook: what is said before it, while it runs and when it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from bench.core.text import printable
from bench.results.records import Record
from bench.running.display.live import make_display
from bench.running.display.plan_text import choice_text, plan_text, summary
from bench.running.engines import choice
from bench.running.engines.engine import StoppedAtOnce
from bench.running.plan.agenda import Agenda
from bench.running.plan.memory import too_large
from bench.running.session import Session


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        records: of the grid, failed and skipped cells too.
        done: whether everything that was to be run has been.
    """

    records: tuple[Record, ...]
    done: bool


def warn(line: str) -> None:
    """Says on standard error what is missing or was mended."""
    print(f"warning: {printable(line)}", file=sys.stderr)


def announce(session: Session) -> None:
    """Says what there is to do: the plan on standard output for a dry run, else a line or two on standard error.

    Raises:
        BenchError: it is no dry run, and the folder of results cannot be written to.
    """
    workers = session.options.jobs or 1
    estimates, room = session.estimates(session.start), session.room()
    peaks = {} if room is None else session.peaks(session.start, room)
    if session.options.dry_run:
        print(plan_text(session.start, estimates, peaks, workers))
        _tell_resolution(session, session.start, sys.stdout)
        preview = choice.preview(session.options)
        if preview is not None:
            print(f"\n{preview}")
    at_once = workers if room is None or room.name == "cpu" else session.options.per_gpu
    if room is not None and (line := too_large(session.start.to_do.values(), peaks, room, at_once)) is not None:
        warn(line)
    for note in dict.fromkeys(f"{c.index.dataset}: {note}" for c in session.cells for note in c.index.notes):
        print(printable(note), file=sys.stderr)
    for told in dict.fromkeys(f"{c.cell.method}: {c.borrowed}" for c in session.cells if c.borrowed):
        print(printable(told), file=sys.stderr)
    if not session.options.dry_run:
        print(summary(session.start, estimates, peaks, workers), file=sys.stderr)
        if session.start.due:  # else it is said at the end
            _tell_resolution(session, session.start, sys.stderr)
        session.check_writable()


def carry_out(session: Session, show: Callable[[Sequence[Record]], None] = lambda records: None) -> Outcome:
    """Runs what there is to do and shows how far it is, on standard error.

    Args:
        session: the run, announced.
        show: told the records of the grid at the end, also of a run that the user stopped.

    Raises:
        KeyboardInterrupt: the user stopped it.
        BenchError: it cannot run here.
    """
    try:
        if session.start.due:
            _run(session)
    except StoppedAtOnce:
        raise
    except KeyboardInterrupt:
        _conclude(session, show)
        raise
    end, records = _conclude(session, show)
    _tell_resolution(session, end, sys.stderr)
    done = session.finish(end)
    limit = session.options.limit_minutes
    if not done and limit is not None:
        print(f"time limit of {limit:g} minutes reached; the same command goes on from here", file=sys.stderr)
    return Outcome(tuple(records), done)


def _tell_resolution(session: Session, agenda: Agenda, to: TextIO) -> None:
    """Says how wide the intervals are that `--resolve` is to make narrow, and what is added for them."""
    for line in session.added_lines(agenda):
        print(printable(f"resolve: {line}"), file=to)


def _run(session: Session) -> None:
    with contextlib.ExitStack() as opened:
        log = None
        if session.options.log is not None:
            from bench.running.display.tensorboard import TensorBoardLog

            log = opened.enter_context(TensorBoardLog(session.options.out.absolute())).handle
        display = opened.enter_context(
            make_display(sys.stderr, plain=True if session.options.plain or session.options.debug else None)
        )
        session.run(display, log)


def _conclude(session: Session, show: Callable[[Sequence[Record]], None]) -> tuple[Agenda, list[Record]]:
    """Says what was chosen and shows the records."""
    end = session.conclude()
    for state in end.searches:
        if not state.coming:
            print(printable(choice_text(state)), file=sys.stderr)
    records = session.records(end)
    show(records)
    return end, records
