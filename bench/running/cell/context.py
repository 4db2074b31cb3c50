"""Where and on what the cells of a run are carried out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Context:
    """Where and on what cells run.

    Attributes:
        out: folder of records, artefacts and checkpoints.
        cache: folder of clip stores and upstream artefacts.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...
        workers: decoding processes.
        keep_sets: whether distilled sets are archived.
        gain_of_full: whether networks are also trained on the full data with its time frozen: its temporal gain, for as
            much again as judging it takes.
        anew: whether the cells that sets are named after distil them anew, though they are stored.
        debug: whether an error in a cell is raised instead of recorded.
    """

    out: Path
    cache: Path
    device: str
    workers: int
    keep_sets: bool = True
    gain_of_full: bool = False
    anew: bool = False
    debug: bool = False

    def checkpoints(self, cell_id: str) -> Path:
        """The folder of what a cell needs to go on after a break."""
        return self.out / "checkpoints" / cell_id
