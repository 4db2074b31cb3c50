"""Merges folders of results: picks the best record of each cell, finds contradictions, and copies. No torch is needed.

Two records of a cell agree if they are equal in everything that does not depend on the machine. Times, memory, provenance
and notes do. Nothing is written before everything has been compared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import math
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import write_atomic
from bench.results import test_clips
from bench.results.records import Record, RecordStore, set_folder, to_run

# Parts of a record that depend on the machine and the run, such as whether an upstream artefact came from the cache.
_OF_THE_RUN = ("costs", "provenance", "reason")
_DATA_OF_THE_RUN = ("upstream", "notes")
_TUNING_OF_THE_RUN = ("seconds",)


@dataclass(frozen=True)
class StoredRecord:
    """A record and its folder of results."""

    folder: Path
    record: Record


@dataclass(frozen=True)
class Conflict:
    """Two records of a cell that cannot both be true."""

    one: StoredRecord
    other: StoredRecord
    fields: tuple[str, ...]

    def text(self) -> str:
        """Names the cell, the two folders and the fields that differ."""
        cell = self.one.record
        return f"{cell.id[:12]} ({cell.cell.title()}) in {self.one.folder} and {self.other.folder}: {', '.join(self.fields)}"


@dataclass(frozen=True)
class Plan:
    """What to copy, in this order.

    Attributes:
        artefacts, keys: source and destination of folders and files to copy.
        records: the best record of each cell for which the destination has none, or a worse one.
        same: how many cells the destination already has.
    """

    artefacts: tuple[tuple[Path, Path], ...]
    keys: tuple[tuple[Path, Path], ...]
    records: tuple[StoredRecord, ...]
    same: int


def look(sources: Sequence[Path], out: Path) -> tuple[Plan, list[Conflict], list[tuple[Path, str]]]:
    """Compares folders and plans their merging.

    Args:
        sources: folders of results.
        out: the destination. What it already holds is compared like a source.

    Returns:
        The plan, the contradictions, and the files that cannot be read, each with the reason.
    """
    bad: list[tuple[Path, str]] = []
    best: dict[str, StoredRecord] = {}
    alike: dict[str, list[Path]] = {}  # by cell: the folders whose record agrees with the best one
    conflicts: list[Conflict] = []
    for folder in dict.fromkeys([out, *sources]):
        for record in RecordStore(folder).all(lambda path, reason: bad.append((path, reason))):
            stored = StoredRecord(folder, record)
            better, fields = choose(best.get(record.id), stored)
            if fields:
                conflicts.append(Conflict(best[record.id], stored, fields))
            elif better is stored:
                alike[record.id] = [folder]
            elif _rank(record) == _rank(better.record):
                alike[record.id].append(folder)
            best[record.id] = better
    artefacts: dict[str, tuple[Path, Path]] = {}
    for stored in best.values():
        for folder in alike[stored.record.id]:
            conflict = _artefact(stored, folder, out, artefacts)
            if conflict is not None:
                conflicts.append(conflict)
    records = tuple(stored for stored in best.values() if stored.folder != out)
    keys = _keys([stored.record for stored in best.values()], sources, out)
    return Plan(tuple(artefacts.values()), keys, records, len(best) - len(records)), conflicts, bad


def _keys(records: Sequence[Record], sources: Sequence[Path], out: Path) -> tuple[tuple[Path, Path], ...]:
    """Source and destination of each list of test clips that the destination lacks."""
    keys = []
    for digest in {str(record.data.get("test_keys_digest", "")) for record in records} - {""}:
        holders = [folder for folder in sources if test_clips.read(folder, digest) is not None]
        if holders and test_clips.read(out, digest) is None:
            keys.append((test_clips.path(holders[0], digest), test_clips.path(out, digest)))
    return tuple(sorted(keys))


def choose(one: StoredRecord | None, other: StoredRecord) -> tuple[StoredRecord, tuple[str, ...]]:
    """The better of two records of a cell, and the fields in which they contradict each other.

    A finished record beats an interrupted one, and ``ok`` beats a failure on another machine. If both agree, it is the first.
    """
    if one is None:
        return other, ()
    ranks = [_rank(stored.record) for stored in (one, other)]
    if ranks[0] != ranks[1]:
        return (one if ranks[0] > ranks[1] else other), ()
    if one.record.status not in ("ok", "skipped"):
        return one, ()
    return one, tuple(differing(facts(one.record), facts(other.record)))


def _rank(record: Record) -> int:
    if to_run(record.status, "missing"):
        return 0
    return 1 if to_run(record.status, "failed") else 2


def facts(record: Record) -> dict[str, Any]:
    """The parts of a record on which two runs of a cell must agree, as nested dicts and tuples."""
    body = {name: value for name, value in dataclasses.asdict(record).items() if name not in _OF_THE_RUN}
    body["data"] = {name: value for name, value in body["data"].items() if name not in _DATA_OF_THE_RUN}
    if body["tuning"] is not None:
        trials = body["tuning"].get("trials", [])
        body["tuning"] = {
            **body["tuning"],
            "trials": [{key: value for key, value in t.items() if key not in _TUNING_OF_THE_RUN} for t in trials],
        }
    return body


def differing(one: Any, other: Any, name: str = "") -> list[str]:
    """The names of the parts in which two nested values differ, such as ``evaluations[0].confusion``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = dict.fromkeys([*one, *other])
        missing = object()
        return [
            place
            for key in names
            for place in differing(
                one.get(key, missing), other.get(key, missing), f"{name}.{key}" if name else str(key)
            )
        ]
    if _is_list(one) and _is_list(other) and len(one) == len(other) and any(isinstance(part, Mapping) for part in one):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for number, (a, b) in pairs for place in differing(a, b, f"{name}[{number}]")]
    return [] if _equal(one, other) else [name]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are equal. A list may equal a tuple, and NaN equals NaN."""
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _artefact(
    stored: StoredRecord, folder: Path, out: Path, artefacts: dict[str, tuple[Path, Path]]
) -> Conflict | None:
    """Adds the set of a cell to ``artefacts`` if ``folder`` has it; returns a conflict if it differs from the one added before."""
    name = None if stored.record.set is None else stored.record.set.artefact
    if name is None or Path(name).name != name:
        return None
    source, target = set_folder(folder, name), set_folder(out, name)
    if not source.is_dir():
        return None
    first = artefacts[name][0] if name in artefacts else target if target.is_dir() else None
    if first is None:
        artefacts[name] = source, target
    elif first != source and not _same_set(first, source):
        return Conflict(
            StoredRecord(first.parent.parent, stored.record), StoredRecord(folder, stored.record), ("artefact",)
        )
    return None


def _same_set(one: Path, other: Path) -> bool:
    names = {path.name for folder in (one, other) for path in folder.iterdir()}
    try:
        return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)
    except OSError:
        return False


def carry_out(plan: Plan, out: Path) -> None:
    """Copies what is planned. Records come last, so that each has its set even if this is killed halfway.

    Raises:
        BenchError: a folder cannot be read or written to.
    """
    try:
        for source, target in plan.artefacts:
            _copy_folder(source, target)
        for source, target in plan.keys:
            write_atomic(target, source.read_bytes())
    except OSError as error:
        raise BenchError(f"cannot copy to {out}: {error.filename or ''}: {error.strerror or error}") from error
    store = RecordStore(out)
    for stored in plan.records:
        store.write(stored.record)


def _copy_folder(source: Path, target: Path) -> None:
    """Copies a folder. The copy appears complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:16]}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
        raise
