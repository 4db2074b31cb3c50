"""What a cell has gathered so far, so that it goes on after a break as if unbroken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.results.artefacts import load_meta
from bench.results.records import PhaseCost


@dataclass
class Journal:
    """What a cell has gathered so far, kept in its checkpoint so that a resumed cell goes on as if unbroken.

    Attributes:
        history: thinned metrics of distillation.
        distil: its cost so far, without that of upstream artefacts.
        upstream: the cost of each upstream artefact that was asked for.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    distil: PhaseCost = field(default_factory=lambda: PhaseCost(0.0, 0.0, 0, 0))
    upstream: dict[str, PhaseCost] = field(default_factory=dict)

    def to_meta(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)

    @staticmethod
    def from_meta(meta: Mapping[str, Any]) -> Journal:
        """The inverse of `to_meta`."""
        return Journal(
            history=meta["history"],
            distil=PhaseCost(**meta["distil"]),
            upstream={name: PhaseCost(**cost) for name, cost in meta["upstream"].items()},
        )


def load_journal(path: Path, owner: str) -> Journal:
    """The journal in a checkpoint of that owner (a cell's id); a new one if there is none."""
    meta = load_meta(path)
    if meta is None or meta.get("cell") != owner:
        return Journal()
    return Journal.from_meta(meta["journal"])
