"""Joins folders of results: which record of each cell is kept, what contradicts, and the copying. No torch is needed.

Two records of a cell agree if all but what depends on the machine is equal: times, memory, provenance, notes. Nothing is
written before everything has been compared.
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
from bench.results import test_clips as tested
from bench.results.records import Record, RecordStore, to_run

# Parts of a record that tell of the machine and the run; whether an upstream artefact was made or found is one of these.
_OF_THE_RUN = ("costs", "provenance", "reason")
_DATA_OF_THE_RUN = ("upstream", "notes")
_TUNING_OF_THE_RUN = ("seconds",)


@dataclass(frozen=True)
class Found:
    """A record and the folder of results that it lies in."""

    folder: Path
    record: Record


@dataclass(frozen=True)
class Conflict:
    """Two records of a cell that cannot both be true."""

    one: Found
    other: Found
    fields: tuple[str, ...]

    def told(self) -> str:
        """Which cell, where, and which fields."""
        cell = self.one.record
        return f"{cell.id[:12]} ({cell.cell.title()}) in {self.one.folder} and {self.other.folder}: {', '.join(self.fields)}"


@dataclass(frozen=True)
class Plan:
    """What is to be copied, in this order.

    Attributes:
        artefacts, keys: what to copy whole, from and to.
        records: what is kept of each cell that the destination lacks or has worse.
        same: cells that the destination has as they are.
    """

    artefacts: tuple[tuple[Path, Path], ...]
    keys: tuple[tuple[Path, Path], ...]
    records: tuple[Found, ...]
    same: int


def look(sources: Sequence[Path], out: Path) -> tuple[Plan, list[Conflict], list[tuple[Path, str]]]:
    """What joining folders takes.

    Args:
        sources: folders of results.
        out: the folder that they are joined in; what it holds counts like a source.

    Returns:
        The plan, what contradicts, and files that cannot be read with the reason.
    """
    bad: list[tuple[Path, str]] = []
    kept: dict[str, Found] = {}
    alike: dict[str, list[Path]] = {}  # the folders whose record of a cell says what the kept one says
    conflicts: list[Conflict] = []
    for folder in dict.fromkeys([out, *sources]):
        for record in RecordStore(folder).all(lambda path, reason: bad.append((path, reason))):
            found = Found(folder, record)
            best, fields = choose(kept.get(record.id), found)
            if fields:
                conflicts.append(Conflict(kept[record.id], found, fields))
            elif best is found:
                alike[record.id] = [folder]
            elif _rank(record) == _rank(best.record):
                alike[record.id].append(folder)
            kept[record.id] = best
    artefacts: dict[str, tuple[Path, Path]] = {}
    for found in kept.values():
        for folder in alike[found.record.id]:
            conflict = _artefact(found, folder, out, artefacts)
            if conflict is not None:
                conflicts.append(conflict)
    keys = []
    for name in {str(found.record.data.get("test_keys_digest", "")) for found in kept.values()} - {""}:
        holders = [folder for folder in sources if tested.read(folder, name) is not None]
        if tested.read(out, name) is None and holders:
            keys.append((tested.path(holders[0], name), tested.path(out, name)))
    records = tuple(found for found in kept.values() if found.folder != out)
    return Plan(tuple(artefacts.values()), tuple(sorted(keys)), records, len(kept) - len(records)), conflicts, bad


def choose(one: Found | None, other: Found) -> tuple[Found, tuple[str, ...]]:
    """Which of two records of a cell is kept, and the fields in which they contradict each other.

    A finished one beats an interrupted one, ``ok`` beats one that failed on another machine; of two that agree the first is kept.
    """
    if one is None:
        return other, ()
    ranks = [_rank(found.record) for found in (one, other)]
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
    """What two runs of a cell must agree on, as nested dicts and tuples."""
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
    if (
        _is_list(one)
        and _is_list(other)
        and len(one) == len(other)
        and any(isinstance(entry, Mapping) for entry in one)
    ):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for number, (a, b) in pairs for place in differing(a, b, f"{name}[{number}]")]
    return [] if _equal(one, other) else [name]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _equal(one: Any, other: Any) -> bool:
    """Equality to which a list is a tuple and NaN is NaN."""
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _artefact(found: Found, folder: Path, out: Path, artefacts: dict[str, tuple[Path, Path]]) -> Conflict | None:
    """Notes the set of a cell for copying, if it is in ``folder`` and was not found before; tells if it is another one."""
    name = None if found.record.set is None else found.record.set.artefact
    if name is None or Path(name).name != name:
        return None
    source, target = folder / "artefacts" / name, out / "artefacts" / name
    if not source.is_dir():
        return None
    first = artefacts[name][0] if name in artefacts else target if target.is_dir() else None
    if first is None:
        artefacts[name] = source, target
    elif first != source and not _same_set(first, source):
        return Conflict(Found(first.parent.parent, found.record), Found(folder, found.record), ("artefact",))
    return None


def _same_set(one: Path, other: Path) -> bool:
    names = {path.name for folder in (one, other) for path in folder.iterdir()}
    try:
        return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)
    except OSError:
        return False


def carry_out(plan: Plan, out: Path) -> None:
    """Copies what is planned; records come last, so that each has its set, also if this is killed on the way.

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
    for found in plan.records:
        store.write(found.record)


def _copy_folder(source: Path, target: Path) -> None:
    """Copies a folder, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:16]}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
        raise
