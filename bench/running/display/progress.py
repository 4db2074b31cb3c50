"""How far a run is: the arithmetic of times that are left, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.core.text import duration, printable
from bench.results.records import Record
from bench.running.engines.events import CellProgress, CellStarted

Clock = Callable[[], float]


def remaining_seconds(
    estimates: Mapping[str, float], finished: Mapping[str, float], running: Mapping[str, float], workers: int
) -> float | None:
    """Seconds until the grid is done: the remaining estimates, scaled by how finished cells compared with theirs.

    Args:
        estimates: seconds each cell was thought to take, by id.
        finished: seconds each finished cell took, or 0 for one whose time says nothing (skipped, failed).
        running: seconds each running cell has taken so far.
        workers: cells that run at a time.

    Returns:
        None without estimates for what remains.
    """
    known = {cell: seconds for cell, seconds in finished.items() if seconds > 0 and estimates.get(cell, 0) > 0}
    scale = sum(known.values()) / sum(estimates[cell] for cell in known) if known else 1.0
    to_come = [
        max(0.0, scale * seconds - running.get(cell, 0.0))
        for cell, seconds in estimates.items()
        if cell not in finished
    ]
    if not to_come:
        return None
    return max(sum(to_come) / max(1, workers), max(to_come))


def phase_seconds_left(first_step: int, step: int, total: int, elapsed: float) -> float | None:
    """Seconds until a phase ends at the pace since ``first_step``; None while there is no pace yet."""
    if step <= first_step or elapsed <= 0:
        return None
    return (total - step) * elapsed / (step - first_step)


def outcome(record: Record) -> str:
    """How a cell ended, in a few words."""
    if record.status != "ok":
        return record.status + (f" ({printable(record.reason)})" if record.reason else "")
    if not record.evaluations:
        return "ok"
    count = len(record.evaluations)
    accuracy = sum(evaluation.accuracy() for evaluation in record.evaluations) / count
    return f"ok, accuracy {100 * accuracy:.1f} % ({count} network{'s' * (count > 1)})"


@dataclass
class RunningCell:
    """A cell under way.

    Attributes:
        title: what it is.
        started, phase_started: when, by the clock of the grid; of a cell that goes on, as if it had not been interrupted.
        phase: what it is doing.
        first_step, step, total: of the phase; ``first_step`` is the first that was reported.
        loss: the current one, or None where there is none.
    """

    title: str
    started: float
    phase: str = ""
    phase_started: float = 0.0
    first_step: int = 0
    step: int = 0
    total: int = 0
    loss: float | None = None

    def advance(self, event: CellProgress, now: float) -> None:
        """Takes in a step; the pace of a phase is measured from its first report."""
        if event.phase != self.phase or event.step < self.step:
            self.phase, self.phase_started, self.first_step = event.phase, now, event.step
        self.step, self.total, self.loss = event.step, event.total, event.loss

    def text(self, now: float) -> str:
        """How far it is: phase, step, loss, and the time that the phase still takes."""
        loss = "" if self.loss is None else f", loss {self.loss:.4g}"
        seconds = phase_seconds_left(self.first_step, self.step, self.total, now - self.phase_started)
        left = "" if seconds is None else f", {duration(seconds)} left in {self.phase}"
        return f"{self.phase} {self.step}/{self.total}{loss}{left}"


@dataclass
class GridProgress:
    """How far a grid is.

    Attributes:
        clock: gives the time in seconds.
        total, done: cells of the grid, and those that have ended.
        estimates: seconds that cells may take, by id.
        running: the cells under way, by id.
        finished: seconds that cells took which ended in this run, by id; 0 where that says nothing.
        workers: the most cells that have run at a time.
    """

    clock: Clock
    total: int = 0
    done: int = 0
    estimates: Mapping[str, float] = field(default_factory=dict)
    running: dict[str, RunningCell] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    workers: int = 1

    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int) -> None:
        """Begins, or goes on with more known about what is still to run."""
        self.total, self.done, self.estimates = total_cells, done_cells, dict(estimates)
        self.workers = max(self.workers, workers)
        self.running.clear()  # the decoding of data, which came before

    def begin(self, event: CellStarted) -> None:
        """Takes in a cell that starts, or goes on: the time that it has taken already counts."""
        self.running[event.cell_id] = RunningCell(printable(event.title), self.clock() - (event.before or 0.0))
        self.workers = max(self.workers, len(self.running))

    def advance(self, event: CellProgress) -> RunningCell:
        """Takes in a step of a cell; returns the cell."""
        now = self.clock()
        cell = self.running.setdefault(event.cell_id, RunningCell(self.title(event.cell_id), now))
        cell.advance(event, now)
        return cell

    def finish(self, record: Record) -> float | None:
        """Takes in a finished cell; returns the seconds it took, None if it never started."""
        cell = self.running.pop(record.id, None)
        took = None if cell is None else self.clock() - cell.started
        self.finished[record.id] = took if took is not None and record.status == "ok" else 0.0
        self.done += 1
        return took

    def title(self, cell_id: str) -> str:
        """What a cell is, as far as that is known."""
        cell = self.running.get(cell_id)
        return cell.title if cell is not None else printable(cell_id)

    def left(self) -> str:
        """``, 3 min left``, or nothing where it is not known."""
        now = self.clock()
        so_far = {cell_id: now - cell.started for cell_id, cell in self.running.items()}
        seconds = remaining_seconds(self.estimates, self.finished, so_far, self.workers)
        return "" if seconds is None else f", {duration(seconds)} left"

    def summary(self, record: Record) -> str:
        """The line for a cell that has just finished."""
        took = self.finish(record)
        time_taken = "" if took is None else f", {duration(took)}"
        title = printable(record.title())
        return f"[{self.done}/{self.total}] {title}: {outcome(record)}{time_taken}{self.left()}"
