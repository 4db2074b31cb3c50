"""The cell: one point of the grid, and what identifies it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.core import temporal
from bench.core.config import Value
from bench.core.files import canonical_json
from bench.core.precision import FULL, Precision
from bench.core.storage import PLAIN, Storage
from bench.core.text import written

SCHEMA = 2


@dataclass(frozen=True)
class Cell:
    """One point of the grid. Its identity is the SHA-256 of the canonical JSON of exactly these fields.

    Fields that were added later are left out while they have their defaults, so that older cells keep their ids.

    Attributes:
        method, version, config: the method's name, its version and its resolved hyper-parameters.
        dataset, fingerprint: display name and data fingerprint (`ClipIndex`).
        geometry: fields of `Geometry`.
        profile, network, protocol: names; the protocol's includes its version, ``standard/1``.
        ipc: clips per class, or None if the method does not use it.
        setting: the temporal setting written out, ``n16-r16-k1-nearest``.
        seed: distillation seed, or None if nothing is random.
        judged_on: the split that evaluations test on.
        schema: version of this layout.
        budget: bytes that the set may take; IPC is then what the plan fits into them. None if IPC is the budget.
        storage: how float tensors are stored (`bench.sets.coded`).
        evaluation_network: the network that is trained on the set, if it differs from ``network``, which methods distil
            with; else None.
        precision: the number format that networks compute in (`bench.core.precision`).
        plugins: the `bench.core.source.meaning_digest` of each part that comes from a plugin, by kind: ``method``,
            ``network``, ``frame_network``, ``evaluation_network``, ``protocol``. Versions identify the suite's own parts.
    """

    method: str
    version: int
    config: dict[str, Value]
    dataset: str
    fingerprint: str
    geometry: dict[str, int]
    profile: str
    network: str
    protocol: str
    ipc: int | None
    setting: str
    seed: int | None
    judged_on: Literal["test", "validation"] = "test"
    schema: int = SCHEMA
    budget: int | None = None
    storage: Storage = PLAIN
    evaluation_network: str | None = None
    precision: Precision = FULL
    plugins: dict[str, str] = field(default_factory=dict)

    def id(self) -> str:
        """64 hexadecimal digits."""
        return identity(vars(self))

    def distillation(self) -> Cell:
        """The same cell judged by the profile's network. Cells for which this is equal have the same set."""
        if self.evaluation_network is None:
            return self
        plugins = {kind: digest for kind, digest in self.plugins.items() if kind != "evaluation_network"}
        return dataclasses.replace(self, evaluation_network=None, plugins=plugins)

    def judge(self) -> str:
        """The network that is trained on the set and tested."""
        return self.evaluation_network or self.network

    def computed(self, network: str) -> str:
        """A network's name, with the precision unless it is float32: no table mixes figures of two precisions."""
        return network if self.precision == FULL else f"{network} in {self.precision}"

    def title(self, dataset: str | None = None) -> str:
        """Describes the cell in one line; ``dataset`` is what to call its data, with their options."""
        parts = [self.method, dataset or self.dataset]
        parts += [] if self.setting == str(temporal.dense(self.geometry["frames"])) else [self.setting]
        parts += [written(self.budget)] if self.budget is not None else []
        parts += [f"ipc {self.ipc}"] if self.ipc is not None and self.budget is None else []
        parts += [self.storage] if self.storage != PLAIN else []
        parts += [self.precision] if self.precision != FULL else []
        parts += [f"seed {self.seed}"] if self.seed is not None else []
        parts += [f"on {self.judged_on}"] if self.judged_on != "test" else []
        parts += [f"by {self.evaluation_network}"] if self.evaluation_network is not None else []
        return " · ".join(parts)


def read_cell(fields: Any) -> Cell:
    """The cell with these fields, as records and manifests of this schema version hold them.

    Raises:
        ValueError, TypeError: a field is missing, unknown or of the wrong type, or the geometry has no frames.
    """
    import msgspec

    Cell(**fields)  # refuses unknown fields
    try:
        cell = msgspec.convert(fields, Cell)
    except msgspec.ValidationError as error:
        raise ValueError(f"cell: {error}") from error
    check_geometry(cell)
    return cell


def check_geometry(cell: Cell) -> None:
    """Raises:
    ValueError: the geometry has no frames.
    """
    if cell.geometry.get("frames", 0) < 1:
        raise ValueError(f"cell: its geometry {cell.geometry} has no frames")


def identity(cell: Mapping[str, Any]) -> str:
    """The SHA-256 of the fields of a cell of any schema version."""
    added_later: dict[str, Any] = {
        "budget": None,
        "storage": PLAIN,
        "evaluation_network": None,
        "precision": FULL,
        "plugins": {},
    }
    hashed = {name: value for name, value in cell.items() if name not in added_later or value != added_later[name]}
    return hashlib.sha256(canonical_json(hashed).encode()).hexdigest()
