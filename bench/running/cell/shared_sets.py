"""Sets that are stored: by an earlier part of the cell, or by another cell that has the same one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.api import SyntheticSet
from bench.core import config
from bench.core.errors import BenchError
from bench.core.files import locked, parse_json, set_aside, write_atomic
from bench.core.sealed import seal, unseal
from bench.data.clip_store import ClipStore
from bench.results.artefacts import load_set, save_set
from bench.results.cells import Cell
from bench.results.records import RecordStore
from bench.running.cell.attempt import Attempt
from bench.running.cell.journal import Journal

_DAMAGED = (BenchError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Account:
    """What a set took, kept beside it for the cells that judge it without having made it.

    Attributes:
        journal: of distilling.
        data: what records say of the set beside its bytes (``storage_loss``).
        by: id of the cell that made it.
    """

    journal: Journal
    data: dict[str, Any]
    by: str

    def to_meta(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"journal": self.journal.to_meta(), "data": self.data, "by": self.by}

    @staticmethod
    def from_meta(meta: Mapping[str, Any]) -> Account:
        """The inverse of `to_meta`.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        return Account(Journal.from_meta(meta["journal"]), dict(meta["data"]), meta["by"])

    def shared(self) -> Account:
        """The same for a cell that found the set stored."""
        journal = self.journal
        upstream = {name: replace(cost, shared=True) for name, cost in journal.upstream.items()}
        return replace(self, journal=replace(journal, distil=replace(journal.distil, shared=True), upstream=upstream))


@dataclass(frozen=True)
class StoredSet:
    """A set as it is judged, and what it took."""

    synthetic: SyntheticSet
    account: Account


def is_archived(attempt: Attempt, synthetic: SyntheticSet) -> bool:
    """Whether the set is kept in the folder of results."""
    return synthetic.archived and attempt.context.keep_sets


@contextlib.contextmanager
def alone(attempt: Attempt) -> Iterator[None]:
    """Lets no other cell distil the same set meanwhile."""
    if not (attempt.planned.shared and attempt.context.keep_sets):
        yield
        return
    with locked(attempt.context.cache / "distilling" / f"the set-{attempt.archive.name}", attempt.reporter.wait):
        yield


def keep(attempt: Attempt, store: ClipStore, stored: StoredSet) -> None:
    """Archives a set for all cells that have it, and notes for this one that it is distilled."""
    planned, account = attempt.planned, stored.account.to_meta()
    manifest = {
        "cell": asdict(attempt.cell.distillation()),
        "classes": list(store.classes),
        "clip": list(planned.geometry.shape().dims()),
        "dataset": {
            "name": planned.dataset.name,
            "options": config.as_dict(planned.dataset.options),
            "digest": store.digest,
        },
        "distilled": account,
    }
    save_set(attempt.archive, stored.synthetic, manifest)
    marker = _marker(attempt)
    try:
        write_atomic(marker, json.dumps(seal(account)).encode())
    except OSError as error:
        attempt.reporter.log(f"cannot keep in {marker} that it is distilled ({error.strerror}); going on without")


def of_this_cell(attempt: Attempt) -> StoredSet | None:
    """The set, if an earlier part of this cell got that far; a damaged one is set aside, and said so."""
    marker = _marker(attempt)
    if not (marker.exists() and attempt.archive.exists()):
        return None
    try:
        synthetic, manifest = load_set(attempt.archive, attempt.registries)
        if Cell(**manifest["cell"]) != attempt.cell.distillation():
            raise BenchError(f"{attempt.archive}: it is the set of another cell")
        meta = unseal(parse_json(marker.read_text(encoding="utf-8")))
        return StoredSet(synthetic, Account.from_meta({"data": {}, "by": attempt.cell.id(), **meta}))
    except _DAMAGED as error:
        moved = set_aside(attempt.archive)
        attempt.reporter.log(f"{' '.join(str(error).split())}; it is now {moved.name}, and distilled again")
        return None


def of_another_cell(attempt: Attempt, store: ClipStore) -> StoredSet | None:
    """The set that another cell made of the same clips; None if there is none, or it is damaged."""
    cell, distillation = attempt.cell, attempt.cell.distillation()
    if attempt.context.anew and cell == distillation:
        return None
    try:
        synthetic, manifest = load_set(attempt.archive, attempt.registries)
        if Cell(**manifest["cell"]) != distillation or manifest["dataset"]["digest"] != store.digest:
            return None
        meta = manifest.get("distilled") or _recorded(attempt.context.out, attempt.archive.name)
        if meta is None or meta["by"] == cell.id():  # its own: it is to be run again
            return None
        account = Account.from_meta(meta)
    except _DAMAGED:
        return None
    attempt.reporter.log("its set is stored already")
    return StoredSet(synthetic, account.shared())


def _marker(attempt: Attempt) -> Path:
    """The file that says that the cell has distilled its set, and holds the set's account."""
    return attempt.checkpoints / "distilled.json"


def _recorded(out: Path, name: str) -> dict[str, Any] | None:
    """The account of a set whose manifest has none, from the record of the cell that it is named after."""
    record = RecordStore(out).read(name)
    if record is None or "distil" not in record.costs:
        return None
    upstream = record.data.get("upstream", {})
    journal = {
        "history": record.history,
        "distil": asdict(record.costs["distil"]),
        "upstream": upstream,
        "processors": record.provenance.get("processors", ()),
    }
    data = {key: value for key, value in record.data.items() if key == "storage_loss"}
    return {"journal": journal, "data": data, "by": record.id}
