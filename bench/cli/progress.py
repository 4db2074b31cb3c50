"""The display of a run: what is under way, how far it is, and how long the rest may take."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, final

from bench.results.records import Record
from bench.run.engines.events import CellLog, CellProgress, CellStarted, Event
from bench.tables.text_table import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
from bench.core.text import duration

Clock = Callable[[], float]

# A log file should stay readable: at most one line of progress in this time.
SECONDS_BETWEEN_LINES = 30.0


class Display(ABC):
    """Shows the events of a run. Used as a context manager; events may come before `start` (data being decoded)."""

    @abstractmethod
    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int = 1) -> None:
        """The grid begins, or goes on with more known about what is still to run.

        Args:
            total_cells: cells of the grid.
            done_cells: of these, finished in an earlier run.
            estimates: seconds that each cell still to run may take, by its id.
            workers: cells that run at a time, if more do not show.
        """

    @abstractmethod
    def revise(self, estimates: Mapping[str, float]) -> None:
        """Estimates that took in the cell that has just ended."""

    @abstractmethod
    def handle(self, event: Event) -> None:
        """Shows an event. Cells may run at the same time; a cell may finish that never started."""

    @abstractmethod
    def close(self) -> None:
        """Ends the display; the terminal is as it was."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_display(stream: TextIO, plain: bool | None) -> Display:
    """The display that suits a stream.

    Args:
        stream: where it goes.
        plain: lines or bars; None for bars if the stream is a terminal that can move its cursor and colours are wanted
            (neither ``NO_COLOR`` nor ``TERM=dumb`` is set).
    """
    if plain is None:
        plain = not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return PlainDisplay(stream) if plain else TerminalDisplay(stream)


# ----------------------------------------------------------------------------------------------------------------------
# Arithmetic and wording


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
    left = [
        max(0.0, scale * seconds - running.get(cell, 0.0))
        for cell, seconds in estimates.items()
        if cell not in finished
    ]
    if not left:
        return None
    return max(sum(left) / max(1, workers), max(left))


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


# ----------------------------------------------------------------------------------------------------------------------
# What has happened so far


@dataclass
class _Running:
    """A cell under way."""

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

    def seconds_left(self, now: float) -> float | None:
        """Of the phase."""
        return phase_seconds_left(self.first_step, self.step, self.total, now - self.phase_started)


@dataclass
class _Grid:
    """The state of the run, which both displays show."""

    clock: Clock
    total: int = 0
    done: int = 0
    estimates: Mapping[str, float] = field(default_factory=dict)
    running: dict[str, _Running] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    workers: int = 1

    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int) -> None:
        self.total, self.done, self.estimates = total_cells, done_cells, dict(estimates)
        self.workers = max(self.workers, workers)
        self.running.clear()  # the decoding of data, which came before

    def begin(self, event: CellStarted) -> None:
        self.running[event.cell_id] = _Running(printable(event.title), self.clock())
        self.workers = max(self.workers, len(self.running))

    def advance(self, event: CellProgress) -> _Running:
        now = self.clock()
        cell = self.running.setdefault(event.cell_id, _Running(self.title(event.cell_id), now))
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
        title = printable(record.cell.title())
        return f"[{self.done}/{self.total}] {title}: {outcome(record)}{time_taken}{self.left()}"


# ----------------------------------------------------------------------------------------------------------------------
# The displays


@final
class PlainDisplay(Display):
    """Lines for a log file: one when a cell starts or ends, and one of progress now and then."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._grid = _Grid(clock)
        self._last_line = clock()

    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int = 1) -> None:
        """Says how much there is to do."""
        self._grid.start(total_cells, done_cells, estimates, workers)
        kept = f", {done_cells} done before" if done_cells else ""
        self._print(f"{total_cells} cells{kept}{self._grid.left()}")

    def revise(self, estimates: Mapping[str, float]) -> None:
        """See `Display`; shown with the next line."""
        self._grid.estimates = dict(estimates)

    def handle(self, event: Event) -> None:
        """Prints the event if it is worth a line."""
        grid = self._grid
        if isinstance(event, CellStarted):
            grid.begin(event)
            self._print(
                f"[{grid.done + len(grid.running)}/{grid.total}] {grid.title(event.cell_id)}: started{grid.left()}"
            )
        elif isinstance(event, CellProgress):
            cell = grid.advance(event)
            if self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
                self._print(f"{cell.title}: {_progress_text(cell, self._clock())}")
        elif isinstance(event, CellLog):
            self._print(f"{grid.title(event.cell_id)}: {printable(event.message)}")
        else:
            self._print(grid.summary(event.record))

    def close(self) -> None:
        """Nothing to end."""

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._last_line = self._clock()


def _progress_text(cell: _Running, now: float) -> str:
    loss = "" if cell.loss is None else f", loss {cell.loss:.4g}"
    left = cell.seconds_left(now)
    return f"{cell.phase} {cell.step}/{cell.total}{loss}" + (
        "" if left is None else f", {duration(left)} left in {cell.phase}"
    )


@final
class TerminalDisplay(Display):
    """Bars: one for the grid, one for each running cell; what ends is printed above them."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # No markup anywhere: titles hold brackets of their own.
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(file=stream, force_terminal=True),
            transient=True,
        )
        self._clock = clock
        self._grid = _Grid(clock)
        self._grid_bar: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int = 1) -> None:
        """Shows the grid's bar."""
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._bars.clear()
        if self._grid_bar is not None:
            self._progress.remove_task(self._grid_bar)
        self._grid.start(total_cells, done_cells, estimates, workers)
        self._progress.start()
        self._grid_bar = self._progress.add_task("all cells", total=total_cells, completed=done_cells, detail="")
        self._show_grid()

    def revise(self, estimates: Mapping[str, float]) -> None:
        """See `Display`."""
        self._grid.estimates = dict(estimates)
        self._show_grid()

    def handle(self, event: Event) -> None:
        """Moves the bars, or prints a line above them."""
        self._progress.start()  # data may be decoded before the grid starts
        grid = self._grid
        if isinstance(event, CellStarted):
            grid.begin(event)
            self._bar(event.cell_id)
        elif isinstance(event, CellProgress):
            cell = grid.advance(event)
            now = self._clock()
            detail = _progress_text(cell, now)
            self._progress.update(
                self._bar(event.cell_id), completed=cell.step, total=max(1, cell.total), detail=detail
            )
        elif isinstance(event, CellLog):
            self._print(f"{grid.title(event.cell_id)}: {printable(event.message)}")
        else:
            self._print(grid.summary(event.record))
            bar = self._bars.pop(event.record.id, None)
            if bar is not None:
                self._progress.remove_task(bar)
        self._show_grid()

    def close(self) -> None:
        """Takes the bars away."""
        self._progress.stop()

    def _bar(self, cell_id: str) -> TaskID:
        if cell_id not in self._bars:
            self._bars[cell_id] = self._progress.add_task(self._grid.title(cell_id), total=None, detail="")
        return self._bars[cell_id]

    def _show_grid(self) -> None:
        if self._grid_bar is not None:
            detail = f"{self._grid.done}/{self._grid.total}{self._grid.left()}"
            self._progress.update(self._grid_bar, completed=self._grid.done, detail=detail)

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
