"""What a cell has gathered so far, so that it goes on after a break as if unbroken."""

from __future__ import annotations

import math
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
        processors: the kinds of processor that have distilled, in order (`bench.running.cell.provenance.processor`).
    """

    history: dict[str, list[float | None]] = field(default_factory=dict)
    distil: PhaseCost = field(default_factory=lambda: PhaseCost(0.0, 0.0, 0, 0))
    upstream: dict[str, PhaseCost] = field(default_factory=dict)
    processors: tuple[str, ...] = ()

    def go_on(self, processor: str) -> None:
        """Notes that this kind of processor distils from here on."""
        self.processors = tuple(dict.fromkeys([*self.processors, processor]))

    def note(self, metrics: Mapping[str, float]) -> None:
        """Adds a step to the history: None for each metric that is not measured at it, or not finite."""
        before = max(map(len, self.history.values()), default=0)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        for name in {**self.history, **metrics}:
            values = self.history.setdefault(name, [])
            values += [None] * (before - len(values)) + [finite.get(name)]

    def to_meta(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)

    @staticmethod
    def from_meta(meta: Mapping[str, Any]) -> Journal:
        """The inverse of `to_meta`."""
        most = max(map(len, meta["history"].values()), default=0)
        return Journal(
            history={name: [*values, *[None] * (most - len(values))] for name, values in meta["history"].items()},
            distil=PhaseCost(**meta["distil"]),
            upstream={name: PhaseCost(**cost) for name, cost in meta["upstream"].items()},
            processors=tuple(meta.get("processors", ())),
        )


def load_journal(path: Path, owner: str) -> Journal:
    """The journal in a checkpoint of that owner (a cell's id); a new one if there is none."""
    meta = load_meta(path)
    if meta is None or meta.get("cell") != owner:
        return Journal()
    return Journal.from_meta(meta["journal"])
