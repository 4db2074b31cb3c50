"""Merges folders of results: picks the best record of each cell, finds contradictions, and copies. No torch is needed.

Two records of a cell agree if what was computed is equal: evaluations, the tensors of the set, histories, the clips. What it
cost, and on which machine, may differ. Nothing is written before everything has been compared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import hashlib
import math
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bench.core.errors import BenchError
from bench.core.files import parse_json, write_atomic
from bench.results import test_clips
from bench.results.records import Record, RecordStore, set_folder, to_run

Prefer = Literal["first", "last", "newer"]
"""Which of two records that contradict each other stands: by the order of their folders, or the one that ended later."""

PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)

# What is computed, in a record and in the manifest of a set. All else depends on the machine, the run or the options.
_DATA = ("classes", "class_names", "train", "test", "digest", "test_keys_digest", "storage_loss")
_MANIFEST = ("kind", "options", "label_loss", "classes", "clip")
_TENSORS = "memory.safetensors"


@dataclass(frozen=True)
class StoredRecord:
    """A record and its folder of results."""

    folder: Path
    record: Record


@dataclass(frozen=True)
class Difference:
    """A part of which two records, or two sets, hold different values."""

    name: str
    one: Any
    other: Any


@dataclass(frozen=True)
class Conflict:
    """Two records of a cell, or two of its sets, that cannot both be true."""

    one: StoredRecord
    other: StoredRecord
    differences: tuple[Difference, ...]


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


def look(
    sources: Sequence[Path], out: Path, prefer: Prefer | None = None
) -> tuple[Plan, list[Conflict], list[tuple[Path, str]]]:
    """Compares folders and plans their merging.

    Args:
        sources: folders of results.
        out: the destination. What it already holds is compared like a source, and comes first.
        prefer: which of two records that contradict each other stands; None: neither does.

    Returns:
        The plan, the contradictions that stay, and the files that cannot be read, each with the reason.
    """
    bad: list[tuple[Path, str]] = []
    alike: dict[str, list[StoredRecord]] = {}  # by cell: the best record, and those that agree with it
    conflicts: list[Conflict] = []
    for folder in dict.fromkeys([out, *sources]):
        for record in RecordStore(folder).all(lambda path, reason: bad.append((path, reason))):
            stored = StoredRecord(folder, record)
            best = alike[record.id][0] if record.id in alike else None
            better, found = choose(best, stored)
            if best is not None and found and prefer is not None:
                better = preferred(best, stored, prefer)
            elif best is not None and found:
                conflicts.append(Conflict(best, stored, found))
            if better is stored:
                alike[record.id] = [stored]
            elif not found and _rank(record) == _rank(better.record):
                alike[record.id].append(stored)
    artefacts, differing_sets = _artefacts(list(alike.values()), out, prefer)
    best_of_each = [stored for stored, *_ in alike.values()]
    records = tuple(stored for stored in best_of_each if stored.folder != out)
    keys = _keys([stored.record for stored in best_of_each], sources, out)
    return Plan(artefacts, keys, records, len(alike) - len(records)), [*conflicts, *differing_sets], bad


def _keys(records: Sequence[Record], sources: Sequence[Path], out: Path) -> tuple[tuple[Path, Path], ...]:
    """Source and destination of each list of test clips that the destination lacks."""
    keys = []
    for digest in {str(record.data.get("test_keys_digest", "")) for record in records} - {""}:
        holders = [folder for folder in sources if test_clips.read(folder, digest) is not None]
        if holders and test_clips.read(out, digest) is None:
            keys.append((test_clips.path(holders[0], digest), test_clips.path(out, digest)))
    return tuple(sorted(keys))


def choose(one: StoredRecord | None, other: StoredRecord) -> tuple[StoredRecord, tuple[Difference, ...]]:
    """The better of two records of a cell, and the parts in which they contradict each other.

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


def preferred(one: StoredRecord, other: StoredRecord, prefer: Prefer) -> StoredRecord:
    """Which of two records that contradict each other stands; ``one`` is in the earlier folder."""
    if prefer == "newer":
        ended = [str(stored.record.provenance.get("ended", "")) for stored in (one, other)]
        return other if ended[1] > ended[0] else one
    return one if prefer == "first" else other


def _rank(record: Record) -> int:
    if to_run(record.status, "missing"):
        return 0
    return 1 if to_run(record.status, "failed") else 2


def facts(record: Record) -> dict[str, Any]:
    """What was computed for a record, as nested dicts and tuples. Two runs of a cell on the same machine agree on it."""
    stored = None if record.set is None else dataclasses.asdict(record.set)
    return {
        "status": record.status,
        "set": None if stored is None else {name: value for name, value in stored.items() if name != "artefact"},
        "evaluations": {evaluation.network: dataclasses.asdict(evaluation) for evaluation in record.evaluations},
        "motion": None if record.motion is None else dataclasses.asdict(record.motion),
        "history": record.history,
        "data": {name: record.data[name] for name in _DATA if name in record.data},
        "left_out": sorted(str(clip) for clip, _ in record.data.get("left_out", [])),
    }


def differing(one: Any, other: Any, name: str = "") -> list[Difference]:
    """The parts in which two nested values differ, each with its name, such as ``evaluations.0.confusion``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [
            difference
            for key in dict.fromkeys([*one, *other])
            for difference in differing(one.get(key), other.get(key), f"{name}.{key}" if name else str(key))
        ]
    return [] if _equal(one, other) else [Difference(name, one, other)]


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are equal. A list may equal a tuple, and NaN equals NaN."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


# ----------------------------------------------------------------------------------------------------------------------
# Stored sets


def _artefacts(
    cells: Sequence[Sequence[StoredRecord]], out: Path, prefer: Prefer | None
) -> tuple[tuple[tuple[Path, Path], ...], list[Conflict]]:
    """Source and destination of each set to copy, and the sets that contradict each other.

    Args:
        cells: of each cell the best record and those that agree with it.
        out: the destination.
        prefer: as in `look`.
    """
    conflicts: list[Conflict] = []
    holders: dict[str, StoredRecord] = {}
    for alike in cells:
        report = alike[0].record.set
        if report is None or report.artefact is None:
            continue
        holder = _holder(alike, report.artefact, prefer, conflicts)
        if holder is None:
            continue
        # Two cells that have one set may stand in different folders. No preference can make both of them true.
        before = holders.setdefault(report.artefact, holder)
        if found := differing_sets(before, holder, report.artefact):
            conflicts.append(Conflict(before, holder, found))
    copies = []
    for name, holder in holders.items():
        source, target = set_folder(holder.folder, name), set_folder(out, name)
        there = StoredRecord(out, holder.record)
        found = differing_sets(there, holder, name) if target.is_dir() else ()
        if found and prefer is None:
            conflicts.append(Conflict(there, holder, found))
        elif found or not target.is_dir():
            copies.append((source, target))
    return tuple(copies), conflicts


def _holder(
    alike: Sequence[StoredRecord], name: str, prefer: Prefer | None, conflicts: list[Conflict]
) -> StoredRecord | None:
    """Whose folder a set is taken from; None if nobody has it. Adds to the conflicts what no preference settles."""
    holder: StoredRecord | None = None
    for stored in alike:
        if not set_folder(stored.folder, name).is_dir():
            continue
        found = () if holder is None else differing_sets(holder, stored, name)
        if holder is None:
            holder = stored
        elif found and prefer is not None:
            holder = preferred(holder, stored, prefer)
        elif found:
            conflicts.append(Conflict(holder, stored, found))
    return holder


def differing_sets(one: StoredRecord, other: StoredRecord, name: str) -> tuple[Difference, ...]:
    """The parts in which the sets of that name in two folders differ."""
    folders = [set_folder(stored.folder, name) for stored in (one, other)]
    if folders[0] == folders[1]:
        return ()
    with contextlib.suppress(OSError):
        if all(
            filecmp.cmp(folders[0] / file, folders[1] / file, shallow=False) for file in (_TENSORS, "manifest.json")
        ):
            return ()
    contents = tuple(map(_set_facts, folders))
    if None in contents:
        states = ["damaged" if content is None else "readable" for content in contents]
        return (Difference("set", states[0], states[1]),)
    return tuple(differing(contents[0], contents[1], "set"))


def _set_facts(folder: Path) -> dict[str, Any] | None:
    """What a stored set holds: its tensors by their digests, and how they are rendered; None if it cannot be read."""
    from safetensors import SafetensorError, deserialize

    try:
        manifest = parse_json((folder / "manifest.json").read_text(encoding="utf-8"))
        tensors: list[tuple[str, dict[str, Any]]] = deserialize((folder / _TENSORS).read_bytes())  # type: ignore[no-untyped-call]
        return {
            **{name: manifest.get(name) for name in _MANIFEST},
            "clips": manifest["dataset"]["digest"],
            "tensors": {
                name: f"{t['dtype']} {list(t['shape'])} {hashlib.sha256(t['data']).hexdigest()[:12]}"
                for name, t in tensors
            },
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
        return None


# ----------------------------------------------------------------------------------------------------------------------


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
    """Copies a folder, in the place of an older one. The copy appears complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, replaced = (target.with_name(f".{target.name[:16]}.{secrets.token_hex(4)}") for _ in range(2))
    try:
        shutil.copytree(source, temporary)
        if target.exists():
            os.replace(target, replaced)
        os.replace(temporary, target)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
        raise
