"""What a run writes for TensorBoard: losses step by step and the accuracy of each network, a TensorBoard run a cell."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, final

from bench.core.errors import BenchError
from bench.results.records import Record
from bench.running.engines.events import CellFinished, CellProgress, CellStarted, Event

FOLDER = "tensorboard"


@final
class TensorBoardLog:
    """Turns the events of a run into event files below ``OUT/tensorboard``, in the process that drives the run. A context manager.

    Scalars: ``distil/loss``, ``upstream/loss``, ``evaluate/loss`` (over the updates of all networks) by step;
    ``accuracy/test`` (or ``validation``), ``accuracy/train`` and those under temporal probes by the number of the network.
    The text ``cell`` says how it ended and what it ran with.

    Raises:
        BenchError: the package tensorboard is not there.
    """

    def __init__(self, out: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BenchError(
                f"--log tensorboard: needs the package tensorboard (pip install tensorboard): {error}"
            ) from error
        self._make = SummaryWriter
        self._out = out
        self._writers: dict[str, Any] = {}

    def handle(self, event: Event) -> None:
        """Takes in an event; of cells that did not start here (data being decoded) there is nothing to write."""
        if isinstance(event, CellStarted):
            self._start(event.cell_id, event.title)
        elif isinstance(event, CellProgress):
            writer = self._writers.get(event.cell_id)
            if writer is not None and event.loss is not None:
                writer.add_scalar(f"{event.phase}/loss", event.loss, event.step)
        elif isinstance(event, CellFinished):
            writer = self._writers.pop(event.record.id, None)
            if writer is not None:
                _write_end(writer, event.record)
                writer.close()

    def close(self) -> None:
        """Closes the files of cells that are still under way."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def __enter__(self) -> TensorBoardLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, cell_id: str, title: str) -> None:
        """Opens the files of a cell: behind what is there if it goes on from a checkpoint, else in an empty folder."""
        folder = self._out / FOLDER / run_name(cell_id, title)
        if not (self._out / "checkpoints" / cell_id).exists():
            shutil.rmtree(folder, ignore_errors=True)
        self._writers[cell_id] = self._make(str(folder))


def run_name(cell_id: str, title: str) -> str:
    """The name of a cell's run: its title in letters that every file system takes, and the start of its id."""
    return f"{re.sub(r'[^A-Za-z0-9.+]+', '-', title)[:120].strip('-')}-{cell_id[:12]}"


def _write_end(writer: Any, record: Record) -> None:
    config = "".join(f"\n- {name}: {value}" for name, value in sorted(record.cell.config.items()))
    reason = f": {record.reason}" if record.reason else ""
    writer.add_text("cell", f"{record.title()}\n\n{record.status}{reason}\n{config}")
    for entry in record.evaluations:
        tested = max(1, entry.tested())
        writer.add_scalar(f"accuracy/{record.cell.judged_on}", entry.accuracy(), entry.network)
        writer.add_scalar("accuracy/train", entry.train_accuracy, entry.network)
        for name, correct in entry.probes.items():
            writer.add_scalar(f"accuracy/{name}", correct / tested, entry.network)
