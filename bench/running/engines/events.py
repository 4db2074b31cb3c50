"""What an engine tells the display while a grid is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.results.claims import Claim
from bench.results.records import Record

Phase = Literal["data", "upstream", "distil", "evaluate"]


@dataclass(frozen=True)
class CellStarted:
    """A cell began.

    Attributes:
        before: seconds that earlier runs have spent on what it goes on from; None if it begins anew.
    """

    cell_id: str
    title: str
    before: float | None = None


@dataclass(frozen=True)
class CellProgress:
    """A step of a cell is done.

    Attributes:
        phase: what the cell is doing.
        step, total: of this phase (for ``evaluate``: updates over all networks).
        loss: the current loss, or None where there is none.
    """

    cell_id: str
    phase: Phase
    step: int
    total: int
    loss: float | None = None


@dataclass(frozen=True)
class CellLog:
    """A line for the user."""

    cell_id: str
    message: str


@dataclass(frozen=True)
class CellFinished:
    """A cell ended, with whatever status; its record is written."""

    record: Record


@dataclass(frozen=True)
class CellHeld:
    """A cell was not run: another process works on it. Engines keep this to themselves.

    Attributes:
        holder: who does; None if that ended meanwhile.
    """

    cell_id: str
    holder: Claim | None


Event = CellStarted | CellProgress | CellLog | CellFinished


def is_sound(event: object) -> bool:
    """Whether what came out of a worker process is an event, with fields of the right types: a plugin may write there, too."""
    if isinstance(event, CellProgress):
        kinds = type(event.phase), type(event.step), type(event.total), type(event.loss)
        return kinds in ((str, int, int, float), (str, int, int, type(None)))
    if isinstance(event, CellLog):
        return type(event.message) is str
    if isinstance(event, CellStarted):
        return type(event.title) is str
    if isinstance(event, CellFinished):
        return isinstance(event.record, Record)
    return isinstance(event, CellHeld) and (event.holder is None or isinstance(event.holder, Claim))
