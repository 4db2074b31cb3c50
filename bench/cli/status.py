"""Show a grid under way: what is done, running, failed and waiting. Reads files alone, from any machine that sees the folder.

python -m bench status                    of results
python -m bench status --out DIR          of another folder
python -m bench status 3f2a --out DIR     how one cell ended, with the traceback of one that failed
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.shared import tell_left_out
from bench.core.errors import BenchError
from bench.core.paths import possible
from bench.core.text import duration, printable
from bench.results import under_way
from bench.results.claims import Claim, Claims, Owner
from bench.results.records import Record, RecordStore, log_file, to_run
from bench.results.under_way import Listed
from bench.running.display.progress import outcome, phase_seconds_left, remaining_seconds

SUMMARY = "show a grid under way: done, running (who, since when, how far), failed, waiting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``status``."""
    parser.add_argument("cell", nargs="?", metavar="CELL", help="the first letters of a cell's id, to see how it ended")
    parser.add_argument(
        "--out", type=possible, default="results", metavar="DIR", help="folder of the run (default: results)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the state of the folder."""
    out = Path(args.out)
    if not out.is_dir():
        raise BenchError(f"--out {out}: no such folder; it is the --out of the run")
    if args.cell is not None:
        print(ending(_find(RecordStore(out), args.cell), out))
        return 0
    grids = under_way.read_all(out)
    cells = {cell.cell_id: cell for grid in grids for cell in grid.cells}
    running = {claim.cell_id: claim for claim in Claims(out).all()}
    store = RecordStore(out)
    if cells:
        records = {cell_id: record for cell_id in cells if (record := store.read(cell_id, tell_left_out)) is not None}
    else:
        records = {record.id: record for record in store.all(tell_left_out, history=False)}
    print(written(sort(cells, running, records), [grid.driver for grid in grids], time.time()), end="")
    return 0


def _find(store: RecordStore, prefix: str) -> Record:
    """The record of the cell whose id begins so.

    Raises:
        BenchError: there is none, or there are several.
    """
    found = [record for record in store.all(history=False) if record.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BenchError(f"{store.out}: no record of a cell whose id begins with '{prefix}'")
    shown = ", ".join(record.id[:12] for record in found[:5]) + (" ..." if len(found) > 5 else "")
    raise BenchError(f"{store.out}: '{prefix}' begins the ids of {len(found)} cells: {shown}")


def ending(record: Record, out: Path) -> str:
    """How a cell ended, with what its author needs to see.

    Args:
        record: of the cell.
        out: the folder of results.
    """
    lines = [f"{record.id}  {printable(record.title())}", outcome(record)]
    lines += [f"changed in its process: {printable(change)}" for change in record.changed]
    if record.traceback:
        lines += ["", *(printable(line) for line in record.traceback.rstrip().splitlines())]
        log = log_file(out, record.id)
        lines += ["", f"with folders: {log}"] if log.exists() else []
    return "\n".join(lines)


@dataclass(frozen=True)
class State:
    """A grid at one moment; each cell is in one of the four.

    Attributes:
        done: records that stand: ok or skipped.
        running: claims of processes that may live.
        failed: records of cells that failed (also oom).
        waiting: cells to be run, with the record of an earlier part if there is one.
        orphans: of those waiting, the claims of processes that are dead.
        estimates: seconds that each cell may take, by id.
    """

    done: tuple[Record, ...]
    running: tuple[Claim, ...]
    failed: tuple[Record, ...]
    waiting: Mapping[str, tuple[str, Record | None]]
    orphans: tuple[Claim, ...]
    estimates: Mapping[str, float]


def sort(cells: Mapping[str, Listed], claims: Mapping[str, Claim], records: Mapping[str, Record]) -> State:
    """Puts cells where they belong.

    Args:
        cells: of the grids that are written down; without any, those of claims and records.
        claims, records: by cell id.
    """
    dead = {cell_id for cell_id, claim in claims.items() if claim.owner.lives() is False}
    live = [claim for cell_id, claim in claims.items() if cell_id not in dead]
    done, failed = [], []
    waiting: dict[str, tuple[str, Record | None]] = {}
    for cell_id in dict.fromkeys([*cells, *claims, *records]):
        record = records.get(cell_id)
        if cell_id in claims and cell_id not in dead:
            continue
        if record is None or to_run(record.status, "missing"):
            title = cells[cell_id].title if cell_id in cells else _title(claims.get(cell_id), record)
            waiting[cell_id] = title, record
        elif record.status in ("ok", "skipped"):
            done.append(record)
        else:
            failed.append(record)
    orphans = [claims[cell_id] for cell_id in waiting if cell_id in dead]
    estimates = {cell_id: cell.seconds for cell_id, cell in cells.items()}
    return State(tuple(done), tuple(live), tuple(failed), waiting, tuple(orphans), estimates)


def _title(claim: Claim | None, record: Record | None) -> str:
    return claim.title if claim is not None else "" if record is None else record.title()


def written(state: State, drivers: Sequence[Owner], now: float) -> str:
    """The state as text.

    Args:
        state: of the grids.
        drivers: the processes that started them.
        now: seconds since 1970.
    """
    counts = {"done": state.done, "running": state.running, "failed": state.failed, "waiting": state.waiting}
    total = sum(map(len, counts.values()))
    text = f"{total} cells: " + ", ".join(f"{len(cells)} {name}" for name, cells in counts.items())
    left = _seconds_left(state, now)
    text += "\n" if left is None else f"; about {duration(left)} left\n"
    text += _table(("running", "what", "process", "since", "for", "how far", "heard of"), _running(state, now))
    text += _table(("failed", "what", "how"), [[r.id[:12], printable(r.title()), outcome(r)] for r in state.failed])
    text += _table(("waiting", "what", "before"), _waiting(state))
    if state.waiting and not state.running:
        text += "\n" + _idle(drivers) + "\n"
    return text


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a line before it; nothing without rows."""
    from tabulate import tabulate

    return "\n" + tabulate(rows, headers=headers, disable_numparse=True) + "\n" if rows else ""


def _running(state: State, now: float) -> list[list[str]]:
    return [
        [
            claim.cell_id[:12],
            printable(claim.title),
            printable(f"{claim.owner.host}:{claim.owner.pid}"),
            datetime.datetime.fromtimestamp(claim.since).strftime("%m-%d %H:%M"),
            duration(max(0.0, now - claim.since)),
            _phase(claim),
            f"{duration(max(0.0, now - claim.beat_time))} ago",
        ]
        for claim in state.running
    ]


def _waiting(state: State) -> list[list[str]]:
    lost = {claim.cell_id: f"{claim.owner.host}:{claim.owner.pid}" for claim in state.orphans}
    return [
        [cell_id[:12], printable(title), _before(record, lost.get(cell_id))]
        for cell_id, (title, record) in state.waiting.items()
    ]


def _idle(drivers: Sequence[Owner]) -> str:
    """Why nothing runs, as far as can be told from here."""
    alive = {driver.lives(): driver for driver in drivers}
    if True in alive:
        return f"the run waits for workers (process {alive[True].pid})"
    if None in alive:
        other = alive[None]
        return f"no cell runs; whether the run lives is seen on its machine (process {other.pid} on {printable(other.host)})"
    return "nothing runs here; the same command goes on from here"


def _phase(claim: Claim) -> str:
    """Phase, step and the time that the phase still takes, as far as its owner has written that down."""
    if not claim.phase:
        return "starting"
    left = phase_seconds_left(claim.first_step, claim.step, claim.total, claim.beat_time - claim.phase_since)
    text = f"{printable(claim.phase)} {claim.step}/{claim.total}"
    return text if left is None else f"{text}, {duration(left)} left"


def _before(record: Record | None, lost: str | None) -> str:
    parts = [] if record is None else [record.status]
    return ", ".join([*parts, *([f"its process {lost} is dead"] if lost else [])])


def _seconds_left(state: State, now: float) -> float | None:
    """Seconds until all cells are done; None where nothing runs."""
    if not state.running:
        return None
    took = {record.id: _seconds(record) for record in (*state.done, *state.failed)}
    so_far = {claim.cell_id: now - claim.since for claim in state.running}
    return remaining_seconds(state.estimates, took, so_far, len(state.running))


def _seconds(record: Record) -> float:
    return sum(cost.wall_seconds for cost in record.costs.values()) if record.status == "ok" else 0.0
