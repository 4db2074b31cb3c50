"""The displays of a run: what is under way, how far it is, and how long the rest may take."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO, final

from typing_extensions import override

from bench.core.text import duration, printable
from bench.running.display.progress import Clock, GridProgress
from bench.running.engines.events import CellLog, CellProgress, CellStarted, Event
from bench.running.observer import Observer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# A log file should stay readable: at most one line of progress in this time.
SECONDS_BETWEEN_LINES = 30.0


def make_display(stream: TextIO, plain: bool | None) -> Observer:
    """The display that suits a stream.

    Args:
        stream: where it goes.
        plain: lines or bars; None for bars if the stream is a terminal that can move its cursor and colours are wanted
            (neither ``NO_COLOR`` nor ``TERM=dumb`` is set).
    """
    if plain is None:
        plain = not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return PlainDisplay(stream) if plain else TerminalDisplay(stream)


@final
class PlainDisplay(Observer):
    """Lines for a log file: one when a cell starts or ends, and one of progress now and then."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._grid = GridProgress(clock)
        self._last_line = clock()

    @override
    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int = 1) -> None:
        self._grid.start(total_cells, done_cells, estimates, workers)
        before = f", {done_cells} done before" if done_cells else ""
        self._print(f"{total_cells} cell{'s' * (total_cells != 1)}{before}{self._grid.left()}")

    @override
    def revise(self, estimates: Mapping[str, float]) -> None:
        self._grid.estimates = dict(estimates)

    @override
    def handle(self, event: Event) -> None:
        grid = self._grid
        if isinstance(event, CellStarted):
            grid.begin(event)
            place = f"[{grid.done + len(grid.running)}/{grid.total}]"
            begins = "started" if event.before is None else f"goes on after {duration(event.before)}"
            self._print(f"{place} {grid.title(event.cell_id)}: {begins}{grid.left()}")
        elif isinstance(event, CellProgress):
            cell = grid.advance(event)
            if self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
                self._print(f"{cell.title}: {cell.text(self._clock())}")
        elif isinstance(event, CellLog):
            self._print(f"{grid.title(event.cell_id)}: {printable(event.message)}")
        else:
            self._print(grid.summary(event.record))

    @override
    def close(self) -> None:
        pass

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._last_line = self._clock()


@final
class TerminalDisplay(Observer):
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
        self._grid = GridProgress(clock)
        self._grid_bar: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    @override
    def start(self, total_cells: int, done_cells: int, estimates: Mapping[str, float], workers: int = 1) -> None:
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._bars.clear()
        if self._grid_bar is not None:
            self._progress.remove_task(self._grid_bar)
        self._grid.start(total_cells, done_cells, estimates, workers)
        self._progress.start()
        self._grid_bar = self._progress.add_task("all cells", total=total_cells, completed=done_cells, detail="")
        self._show_grid()

    @override
    def revise(self, estimates: Mapping[str, float]) -> None:
        self._grid.estimates = dict(estimates)
        self._show_grid()

    @override
    def handle(self, event: Event) -> None:
        self._progress.start()  # data may be decoded before the grid starts
        grid = self._grid
        if isinstance(event, CellStarted):
            grid.begin(event)
            self._bar(event.cell_id)
        elif isinstance(event, CellProgress):
            cell = grid.advance(event)
            now = self._clock()
            detail = cell.text(now)
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

    @override
    def close(self) -> None:
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
