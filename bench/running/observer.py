"""The contract of whatever watches a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType

from bench.running.engines.events import Event


class Observer(ABC):
    """Watches a run, and shows it. A context manager; events may come before `start` (data being decoded)."""

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
        """Ends it; the terminal is as it was."""

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
