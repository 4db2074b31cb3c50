"""Finds and removes what a folder of results holds of earlier versions, and of settings that are no longer wanted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.files import parse_json
from bench.core.registry import Registry
from bench.plugins import Registries
from bench.results.artefacts import MANIFEST
from bench.results.cells import Cell, read_cell
from bench.results.claims import Claims
from bench.results.migrations import current_cell
from bench.results.records import Record, RecordStore

Reason = Callable[[Record], str | None]
"""Says why a record is no longer wanted, or None if it is."""


@dataclass(frozen=True)
class Unwanted:
    """A record to remove, and why."""

    record: Record
    reason: str


@dataclass(frozen=True)
class Removal:
    """What to remove from a folder of results.

    Attributes:
        records: the records, each with its reason.
        sets: folders of stored sets that no other record uses.
        checkpoints: folders of checkpoints of these cells.
    """

    records: tuple[Unwanted, ...]
    sets: tuple[Path, ...]
    checkpoints: tuple[Path, ...]

    def folders(self) -> tuple[Path, ...]:
        """Sets and checkpoints."""
        return (*self.sets, *self.checkpoints)


def superseded(cell: Cell, registries: Registries) -> str | None:
    """Says which part of a cell has a newer version or another source today; None if none has, or the part is not loaded."""
    protocol, _, version = cell.protocol.partition("/")
    if cell.method in registries.methods.names():
        today = registries.methods.get(cell.method).version
        if cell.version < today:
            return f"version {cell.version} of {cell.method}, which is now {today}"
    if protocol in registries.protocols.names() and version.isdecimal() and len(version) < 10:
        today = registries.protocols.get(protocol).version
        if int(version) < today:
            return f"version {version} of protocol {protocol}, which is now {today}"
    for kind, name in _parts(cell, registries).items():
        registry: Registry[Any] = getattr(registries, _REGISTRY_OF.get(kind, "networks"))
        is_loaded = name in registry.names() and kind in cell.plugins
        if is_loaded and registry.origin(name).meaning not in (None, cell.plugins[kind]):
            return f"an earlier source of {kind.replace('_', ' ')} {name}"
    return None


_REGISTRY_OF = {"method": "methods", "protocol": "protocols"}


def _parts(cell: Cell, registries: Registries) -> dict[str, str]:
    """The names of the parts of a cell that may belong to plugins, by kind."""
    parts = {"method": cell.method, "protocol": cell.protocol.partition("/")[0], "network": cell.network}
    if cell.evaluation_network is not None:
        parts["evaluation_network"] = cell.evaluation_network
    if cell.profile in registries.profiles.names():
        parts["frame_network"] = registries.profiles.get(cell.profile).frame_network
    return parts


def of_settings(record: Record, settings: Mapping[str, Mapping[str, Value]]) -> str | None:
    """The hyper-parameters to forget that a record was made with, as text; None if it was made with others.

    Args:
        record: the record.
        settings: method to field to value, as text or in its own type.
    """
    wanted = settings.get(record.cell.method)
    if not wanted:
        return None
    config = record.cell.config
    if any(name not in config or not _same(config[name], value) for name, value in wanted.items()):
        return None
    return ", ".join(f"{record.cell.method}.{name}={value}" for name, value in wanted.items())


def _same(value: Value, asked: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() == str(asked).lower()
    try:
        return float(value) == float(str(asked))
    except ValueError:
        return False


def trials(records: Iterable[Record]) -> frozenset[str]:
    """The ids of the cells that finished searches tried. The records with the chosen values list them."""
    return frozenset(
        str(trial["cell"])
        for record in records
        if record.tuning is not None
        for trial in record.tuning.get("trials", [])
        if trial.get("cell") is not None
    )


def look(out: Path, why: Reason, registries: Registries, methods: Collection[str] = ()) -> Removal:
    """What to remove: the unwanted records, and the sets and checkpoints that only they need.

    A cell that is under way is left alone.

    Args:
        out: the folder of results.
        why: says for each record whether it is unwanted.
        registries: all parts. Sets of earlier versions without a record are removed too.
        methods: only the sets of these methods; all if empty.
    """
    unwanted: list[Unwanted] = []
    used: set[str] = set()
    under_way = {claim.cell_id for claim in Claims(out).all() if claim.owner.lives() is not False}
    for record in RecordStore(out).all(history=False):
        reason = None if record.id in under_way else why(record)
        if reason is not None:
            unwanted.append(Unwanted(record, reason))
        elif record.set is not None and record.set.artefact is not None:
            used.add(record.set.artefact)

    def is_old(folder: Path) -> bool:
        cell = None if folder.name in under_way else _cell_of(folder)
        return cell is not None and (not methods or cell.method in methods) and superseded(cell, registries) is not None

    removed = [unwanted_record.record for unwanted_record in unwanted]
    cells = {record.id for record in removed} | {record.cell.distillation().id() for record in removed}
    folders = sorted(path for path in (out / "artefacts").glob("*") if path.is_dir() and not path.name.startswith("."))
    sets = [path for path in folders if path.name not in used and (path.name in cells or is_old(path))]
    checkpoints = [out / "checkpoints" / cell_id for cell_id in sorted(cells - used)]
    return Removal(tuple(unwanted), tuple(sets), tuple(path for path in checkpoints if path.is_dir()))


def _cell_of(folder: Path) -> Cell | None:
    """The cell that a stored set is named after; None if that cannot be read."""
    try:
        manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        return read_cell(current_cell(dict(manifest["cell"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def carry_out(removal: Removal, out: Path) -> None:
    """Removes it. Records go last, so that after an interruption the same command finds the remainder.

    Raises:
        BenchError: something cannot be removed.
    """
    store = RecordStore(out)
    try:
        for folder in removal.folders():
            shutil.rmtree(folder)
        for unwanted in removal.records:
            store.path(unwanted.record.id).unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"cannot remove {error.filename}: {error.strerror}") from error
