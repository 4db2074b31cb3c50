"""One attempt at a cell: what it is carried out with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.api import Protocol
from bench.core.reporter import Reporter
from bench.nets.builder import Builder
from bench.plugins import Registries
from bench.results.cells import Cell
from bench.results.records import set_folder
from bench.running.cell.context import Context
from bench.running.plan.plan import PlannedCell


@dataclass(frozen=True)
class Attempt:
    """All that an attempt at a cell needs, and nothing of what it finds.

    Attributes:
        planned, registries, context, reporter: see there.
        builder: of its networks.
        say: logs each sentence only once.
        retried: what is known of a first attempt that ran out of memory, if this is the second one.
    """

    planned: PlannedCell
    registries: Registries
    context: Context
    reporter: Reporter
    builder: Builder
    say: Callable[[str], None]
    retried: dict[str, Any] | None = None

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.planned.cell

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.builder.device

    @property
    def checkpoints(self) -> Path:
        """The folder of what the cell needs to go on after a break."""
        return self.context.checkpoints(self.cell.id())

    @property
    def distillation_state(self) -> Path:
        """The checkpoint of distilling, which cells that share a set share."""
        return self.context.checkpoints(self.cell.distillation().id()) / "distil.safetensors"

    @property
    def archive(self) -> Path:
        """The folder of the set."""
        return set_folder(self.context.out, self.cell.distillation().id())

    def protocol(self) -> Protocol:
        """How the set is judged."""
        return self.registries.protocols.get(self.cell.protocol.partition("/")[0])()
