"""The contract of an engine: it carries out cells, wherever, and each has its record the moment it ends."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from bench.results.claims import Sighting
from bench.results.records import Record, to_run
from bench.running.cell.context import Context
from bench.running.engines.events import Event
from bench.running.plan.plan import PlannedCell

Emit = Callable[[Event], None]


@dataclass(frozen=True)
class Order:
    """A cell to be run.

    Attributes:
        planned: the cell.
        known: `stamp` of the record that it had when this was decided.
        silent: a claim on it that may be taken over (`Claims.take`).
    """

    planned: PlannedCell
    known: str
    silent: Sighting | None = None

    def id(self) -> str:
        """The cell's id."""
        return self.planned.cell.id()


@dataclass(frozen=True)
class Run:
    """What all cells of a run have in common.

    Attributes:
        plugin_files: as given with ``--plugin``; worker processes load them anew.
        context: where and on what.
        deadline: after which no cell starts and running ones stop, by this machine's ``time.monotonic``, or None.
        timeout: seconds that a cell may take, or None.
        attempts: how often a cell whose process dies is tried.
        per_gpu: cells that share a GPU.
        folder: where the user stands: relative paths start there, in worker processes too.
    """

    plugin_files: tuple[str, ...]
    context: Context
    deadline: float | None = None
    timeout: float | None = None
    attempts: int = 3
    per_gpu: int = 1
    folder: Path = field(default_factory=Path.cwd)

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline


class Engine(ABC):
    """Carries out cells. Every cell is claimed before it is run (`bench.results.claims`), by the process that runs it, which
    also writes its record: an engine may die at any moment, and several may work on one folder."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, cells: Sequence[Order], run: Run, emit: Emit) -> None:
        """Runs cells; returns when each has a record or the deadline has passed.

        Cells that another process works on are waited for, and taken over if it dies.

        Args:
            cells: in the order they are started.
            run: see there.
            emit: told of everything that happens, in this process and thread.

        Raises:
            KeyboardInterrupt: the user stopped it; cells under way are recorded as interrupted.
            StoppedAtOnce: the user stopped it twice.
            BenchError: it cannot work here.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends what it has started; a run that goes in rounds keeps it from one to the next."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StoppedAtOnce(KeyboardInterrupt):
    """Ctrl-C came twice: nothing is waited for."""


def stamp(record: Record | None) -> str:
    """Tells one record of a cell from another; empty without one."""
    return "" if record is None else hashlib.sha256(record.to_json().encode()).hexdigest()


def is_finished(record: Record | None) -> bool:
    """Whether a cell has a record that stands."""
    return record is not None and not to_run(record.status, "missing")


def ended_elsewhere(record: Record | None, order: Order) -> bool:
    """Whether the cell was finished, be it by another process, since the order was given."""
    return is_finished(record) and stamp(record) != order.known
