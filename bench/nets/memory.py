"""Bytes that networks and their passes keep in memory, for the plan's estimate: counted once, then read from a table.

A plan loads no torch. What the suite's own networks keep at its usual clip shapes therefore stands in ``memory.json`` beside this
file; ``python -m bench.testing.memory`` counts it anew. Passes of other shapes are taken to keep as much a number of a clip, and
other networks what the hungriest of the suite's keeps.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.api import ClipShape, Network

TABLE = Path(__file__).with_name("memory.json")


@dataclass(frozen=True)
class Kept:
    """Bytes of a network, and what a pass keeps of each clip at its peak.

    Attributes:
        body, each_class: weights and buffers: those of any number of classes, and what a class adds.
        forward: a pass without gradient.
        through: a pass there and back to the clips, with fixed weights.
        training: a pass there and back to the weights.
        double: a pass back to the weights that is itself differentiated in the clips.
    """

    body: int
    each_class: int
    forward: int
    through: int
    training: int
    double: int

    def weights(self, classes: int) -> int:
        """Bytes of the network."""
        return self.body + classes * self.each_class

    def scaled(self, factor: float) -> Kept:
        """Of clips that have so many times as many numbers."""
        passes = self.forward, self.through, self.training, self.double
        return Kept(self.body, self.each_class, *(round(factor * kept) for kept in passes))


def kept(network: Network, clip: ClipShape) -> Kept:
    """What a network keeps of clips of that shape; see above where it is no entry of the table."""
    table = _table()
    listed = table.get((network.name, clip.dims()))
    if listed is not None:
        return listed
    own = {dims: row for (name, dims), row in table.items() if name == network.name}
    if not own:
        own = {dims: max((row for (_, d), row in table.items() if d == dims), key=_hunger) for _, dims in table}
    nearest = min(own, key=lambda dims: abs(_values(dims) - clip.values()))
    return own[nearest].scaled(clip.values() / _values(nearest))


def key(kind: type[Network], clip: ClipShape) -> str:
    """How an entry of the table is called."""
    return f"{kind.name} {'x'.join(map(str, clip.dims()))}"


def written(rows: Mapping[str, Kept]) -> str:
    """The table as text."""
    lines = (f"{json.dumps(name)}: {json.dumps(astuple(row))}" for name, row in rows.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


@functools.cache
def _table() -> dict[tuple[str, tuple[int, ...]], Kept]:
    rows = json.loads(TABLE.read_bytes())
    names = ((name.rpartition(" "), row) for name, row in rows.items())
    return {(name, tuple(map(int, dims.split("x")))): Kept(*row) for (name, _, dims), row in names}


def _hunger(row: Kept) -> int:
    return row.training


def _values(dims: tuple[int, ...]) -> int:
    return functools.reduce(int.__mul__, dims)
