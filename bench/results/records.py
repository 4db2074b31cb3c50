"""The record of one cell: what was asked, what came out, what it cost. One JSON file each, written when the cell ends.

Records hold only raw figures. `bench.tables` derives every mean, interval and share from them. Reading needs no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from bench.api import Evaluation
from bench.core.errors import BenchError
from bench.core.files import parse_json, set_aside, write_atomic
from bench.results import consistency, digests
from bench.results.cells import SCHEMA, Cell, check_geometry, identity
from bench.results.history import ends
from bench.results.migrations import MIGRATIONS

FORMAT = 2
"""Version of a record's file, apart from the cell's schema, which is part of every id. Since 2, the file has a digest of itself."""

_ABANDONED_SECONDS = 3600.0

Status = Literal["ok", "failed", "oom", "timeout", "skipped", "interrupted"]


@dataclass(frozen=True)
class StoredTensor:
    """One entry of the byte count."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class SetReport:
    """What a set stores.

    Attributes:
        kind: the representation.
        clips: how many synthetic clips it renders.
        storage_bytes: the sum over its tensors at their dtypes; integer labels are not counted.
        storage_bytes_fp32: the same at four bytes per number, as publications count.
        tensors: the breakdown.
        artefact: name of the stored set's folder in ``artefacts/``, which is the id of the cell's distillation; None if
            nothing new is stored.
    """

    kind: str
    clips: int
    storage_bytes: int
    storage_bytes_fp32: int
    tensors: dict[str, StoredTensor]
    artefact: str | None

    def labels(self) -> StoredTensor | None:
        """Its learned or soft labels, also under a storage codec; None if each clip has its class."""
        return next((self.tensors[name] for name in consistency.LABELS if name in self.tensors), None)


@dataclass(frozen=True)
class PhaseCost:
    """What one phase (tune, upstream, distil, evaluate, probe) took.

    Attributes:
        wall_seconds: elapsed time; for a resumed cell, summed over its parts.
        device_seconds: CPU time of the process on a CPU, elapsed time between synchronisations on a GPU.
        peak_device_bytes: the most memory allocated on the GPU; 0 on a CPU.
        peak_host_bytes: the most resident memory of the process.
        shared: True if the result came from the cache; the seconds are then those of the run that made it.
        stored_bytes: bytes on disk that other cells can use (upstream artefacts). The distilled set is not included.
    """

    wall_seconds: float
    device_seconds: float
    peak_device_bytes: int
    peak_host_bytes: int
    shared: bool = False
    stored_bytes: int = 0


def total(costs: Sequence[PhaseCost]) -> PhaseCost:
    """Combines costs: seconds and stored bytes add up, the highest peaks count, and it is shared if any cost is."""
    return PhaseCost(
        wall_seconds=sum(cost.wall_seconds for cost in costs),
        device_seconds=sum(cost.device_seconds for cost in costs),
        peak_device_bytes=max((cost.peak_device_bytes for cost in costs), default=0),
        peak_host_bytes=max((cost.peak_host_bytes for cost in costs), default=0),
        shared=any(cost.shared for cost in costs),
        stored_bytes=sum(cost.stored_bytes for cost in costs),
    )


@dataclass(frozen=True)
class Motion:
    """Motion energy (`bench.judging.motion`) of each class; None for a class without clips.

    Attributes:
        set: that of the rendered set.
        real: that of the real clips that the set was made from.
    """

    set: tuple[float | None, ...]
    real: tuple[float | None, ...]


@dataclass(frozen=True)
class Record:
    """A finished, failed or skipped cell.

    Attributes:
        cell: what was asked.
        status, reason: how the cell ended; the reason is empty for ``ok``.
        set: what is stored, or None if there is no set.
        evaluations: raw counts, one per network.
        costs: by phase name.
        history: ``{"step": [...], "loss": [...]}`` of some steps of the distillation.
        data: ``classes``, ``train``, ``test`` counts, ``class_names`` in the order of the labels, ``digest`` of the decoded
            clips, ``test_keys_digest`` of the names of the test clips in order (`bench.results.test_clips`), ``left_out`` as
            ``[key, reason]`` pairs, ``notes``, ``upstream`` costs by artefact (``costs["upstream"]`` is their sum),
            ``storage_loss`` of a storage codec (its ``max`` and ``rms`` over rendered clips, in network units), ``start``: the
            method and config that make the set that a learned one starts from, ``written``: the data set with its options,
            ``borrowed``: which hyper-parameters are those of another dataset or IPC, ``added``: that nobody asked for its seed, and
            ``--resolve`` added it.
        provenance: commit, versions, hardware, times; ``processors`` are the kinds of processor that worked on it, in order.
        motion: the motion in the set and in the real clips; None if it was not measured.
        tuning: how `bench.running.plan.tuning` chose the config, or None. It was not asked for, so it is not part of the id.
        traceback: of the error that a failed cell ended with, without folders; None if there was none.
        changed: what the cell changed of what all code of its process shares (`bench.running.cell.surroundings`).
    """

    cell: Cell
    status: Status
    reason: str = ""
    set: SetReport | None = None
    evaluations: tuple[Evaluation, ...] = ()
    costs: dict[str, PhaseCost] = field(default_factory=dict)
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    motion: Motion | None = None
    tuning: dict[str, Any] | None = None
    traceback: str | None = None
    changed: tuple[str, ...] = ()

    @functools.cached_property
    def id(self) -> str:
        """The cell's id."""
        return self.cell.id()

    def title(self) -> str:
        """Describes the cell in one line, with the options of its data set if the record knows them."""
        return self.cell.title(self.data.get("written"))

    def to_json(self) -> str:
        """The record as indented JSON that carries a digest of itself.

        Accuracy, per-class accuracy and selection inflation are there for people who open the file. `from_json` ignores them.
        """
        body = {"id": self.id, "format": FORMAT, **dataclasses.asdict(self)}
        for fields, evaluation in zip(body["evaluations"], self.evaluations, strict=True):
            fields |= consistency.derived(evaluation)
        return digests.signed(_plain(body))

    def contradiction(self) -> str | None:
        """The first thing in which the record contradicts itself, as a clause; None if there is none."""
        return consistency.contradiction(dataclasses.asdict(self), self.evaluations, self.cell.distillation().id())


class NewerSchema(ValueError):
    """The record was written by a later version of the suite. It is intact, but this version cannot read it."""


def from_json(text: str | bytes, history: bool = True) -> Record:
    """Reads a record of this or an older version.

    Args:
        text: as `Record.to_json` writes it; bytes are UTF-8.
        history: False keeps only its `ends`; all of it takes most of the memory when there are ten thousand records.

    Raises:
        ValueError: it is not a record, or not what was written, and why; `NewerSchema` for a record of a later version.
    """
    return _read(text, history).record


@dataclass(frozen=True)
class _Read:
    """A record as a file held it.

    Attributes:
        record: in this schema version.
        written_id: the id that it was written under.
        written_format: the version of its file.
    """

    record: Record
    written_id: str
    written_format: int


def _read(text: str | bytes, history: bool) -> _Read:
    import msgspec

    try:
        body = msgspec.json.decode(text)  # three times as fast as json; it matters for ten thousand records
        written_id, written_format = body.get("id"), _checked_format(text, body)
        body = _migrated(body)
        Cell(**body["cell"])  # refuses unknown fields; types are checked below
        fields = {name: body[name] for name in _FIELDS} | {name: body[name] for name in _ADDED_LATER if name in body}
        record = msgspec.convert(fields, Record)
        check_geometry(record.cell)
        losses: Any = msgspec.convert(body["history"], dict[str, list[float | None]])  # one that was not finite is null
        record = dataclasses.replace(record, history=losses if history else ends(losses))
        if body["id"] != record.id:
            raise ValueError("its id does not match its contents")
        msgspec.convert(
            [body["data"], body["provenance"], fields.get("tuning")], tuple[_Data, _Provenance, _Tuning | None]
        )
        checked = {**fields, "cell": body["cell"], "history": losses if written_format == FORMAT else {}}
        clause = consistency.contradiction(checked, record.evaluations, record.cell.distillation().id())
        if clause is not None:
            raise ValueError(f"it contradicts itself: {clause}")
        return _Read(record, written_id, written_format)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a record: {error}") from error
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError, msgspec.DecodeError) as error:
        raise ValueError(f"not a record: {type(error).__name__}: {error}") from error


def _checked_format(text: str | bytes, body: Mapping[str, Any]) -> int:
    """The version of a record's file.

    Raises:
        ValueError: there is no such version, or the digest in the file is missing or another one.
    """
    version = body.get("format", 1)
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"not a record: it has format {version!r}")
    if version > FORMAT:
        raise NewerSchema(f"format {version}, this version of the suite reads up to {FORMAT}")
    if (version > 1 or digests.KEY in body) and not digests.is_intact(text, body):
        raise ValueError("it is not what was written: its digest does not match its contents")
    return version


_FIELDS = ("cell", "status", "reason", "set", "evaluations", "costs", "data", "provenance")
_ADDED_LATER = ("motion", "tuning", "traceback", "changed")  # older records lack these


class _Start(TypedDict):
    """The method and hyper-parameters that make the set that a learned one starts from."""

    method: str
    config: dict[str, bool | int | float | str | None]


class _Data(TypedDict, total=False):
    """The known fields of ``Record.data``; there may be more."""

    classes: int
    class_names: list[str]
    train: int
    test: int
    digest: str
    test_keys_digest: str
    left_out: list[tuple[str, str]]
    notes: list[str]
    upstream: dict[str, PhaseCost]
    storage_loss: dict[str, float | None]
    start: _Start
    written: str
    borrowed: str


class _Provenance(TypedDict, total=False):
    """The fields of ``Record.provenance`` that tables and reports read."""

    started: str
    ended: str
    planned_flops: float | None
    processors: list[str]


class _Trial(TypedDict, total=False):
    """What is read of a trial in ``Record.tuning``."""

    cell: str | None


class _Tuning(TypedDict, total=False):
    """What is read of ``Record.tuning``."""

    trials: list[_Trial]


def _migrated(body: dict[str, Any]) -> dict[str, Any]:
    """A record's JSON, converted to this schema version step by step.

    Raises:
        ValueError: there is no migration from its version, or its id does not match its contents as written.
    """
    version = body["cell"]["schema"]
    if version == SCHEMA:
        return {"id": None, **body}
    if isinstance(version, int) and version > SCHEMA:
        raise NewerSchema(f"schema {version}, this version of the suite reads up to {SCHEMA}")
    if body.get("id") != identity(body["cell"]):
        raise ValueError("its id does not match its contents")
    while version != SCHEMA:
        if version not in MIGRATIONS:
            raise ValueError(f"schema {version!r}, from which there is no way to {SCHEMA}")
        body = MIGRATIONS[version](body)
        version += 1
    cell = {**body["cell"], "schema": SCHEMA}
    return {**body, "cell": cell, "id": identity(cell)}


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: None for a number that is not finite (a diverged loss), ``\\udc80`` for half a character."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):  # the name of a file that is no UTF-8
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _worth(record: Record) -> tuple[bool, str]:
    """Which of several records of a cell stands for it: a finished one before others, then the one that ended last."""
    return record.status == "ok", str(record.provenance.get("ended", ""))


def set_folder(out: Path, artefact: str) -> Path:
    """The folder of a stored set, by the name that `SetReport.artefact` gives it."""
    return out / "artefacts" / artefact


def log_file(out: Path, cell_id: str) -> Path:
    """The file of the whole traceback of a failed cell, with the folders of the machine that it ran on."""
    return out / "logs" / f"{cell_id[:12]}.log"


OnBad = Callable[[Path, str], object]
"""Told of a record that cannot be read, and why."""


class RecordStore:
    """The folder of records, ``OUT/cells/<id>.json``."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "cells"

    def path(self, cell_id: str) -> Path:
        """The file of a cell's record."""
        return self.folder / f"{cell_id}.json"

    def write(self, record: Record) -> None:
        """Writes (or replaces) a record atomically.

        Raises:
            BenchError: the folder cannot be written to.
        """
        try:
            write_atomic(self.path(record.id), record.to_json().encode())
        except OSError as error:
            raise BenchError(f"--out {self.out}: cannot write the record {record.id[:12]}: {error.strerror}") from error

    def read(self, cell_id: str, on_bad: OnBad | None = None) -> Record | None:
        """The record of a cell; None if there is none or it is damaged, which ``on_bad`` is told, as in `all`."""
        path = self.path(cell_id)
        try:
            return self._load(path).record
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            if on_bad is not None:
                on_bad(path, str(error))
            return None

    def all(self, on_bad: OnBad | None = None, history: bool = True) -> Iterator[Record]:
        """Every readable record, in the order of file names.

        Records of older schema versions come last. If several of them have become one cell, only the newest finished one is used.

        Args:
            on_bad: called with the path of each unreadable record and the reason.
            history: False keeps only its `ends`, as in `from_json`.
        """
        older: dict[str, Record] = {}
        for path in self._files():
            try:
                record = self._load(path, history).record
            except (OSError, ValueError) as error:
                if on_bad is not None:
                    on_bad(path, str(error))
                continue
            if path.stem == record.id:
                yield record
            elif record.id not in older or _worth(record) > _worth(older[record.id]):
                older[record.id] = record
        yield from (record for cell_id, record in older.items() if not self.path(cell_id).exists())

    def older(self) -> dict[str, Record]:
        """The records of older schema versions by the ids that they have today, for looking without changing the folder."""
        paths = {path.stem for path in self._files()}
        return {record.id: record for record in self.all(history=False) if record.id not in paths}

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"), key=lambda path: path.name) if self.folder.is_dir() else []

    def repair(self, tell: Callable[[str], None]) -> None:
        """Sets damaged records aside and rewrites those of older versions. A run does this before it begins.

        Files that cannot be read or written, and records of later versions, stay where they are.

        Args:
            tell: called with a sentence about each such file; with one about all that only lacked a digest.
        """
        if not self.folder.is_dir():
            return
        for unfinished in self.folder.glob(".*.json.*"):  # its process was killed while writing
            with contextlib.suppress(OSError):
                if time.time() - unfinished.stat().st_mtime > _ABANDONED_SECONDS:
                    unfinished.unlink()
        older: list[tuple[Path, Record]] = []
        unsigned: list[Record] = []
        for path in self._files():
            try:
                read = self._load(path)
                if path.stem != read.record.id:
                    older.append((path, read.record))
                elif read.written_format < FORMAT:
                    unsigned.append(read.record)
            except (OSError, NewerSchema, BenchError) as error:
                tell(f"record {path.name} is left out: {error}")
            except ValueError as error:
                tell(f"record {path.name} cannot be trusted ({error}); it is now {set_aside(path).name}")
        for path, record in sorted(older, key=lambda pair: _worth(pair[1]), reverse=True):
            try:
                tell(self._bring_up(path, record))
            except (OSError, BenchError) as error:
                tell(f"record {path.name} is left out: {error}")
        self._sign(unsigned, tell)

    def _sign(self, unsigned: Sequence[Record], tell: Callable[[str], None]) -> None:
        """Rewrites records from before there were digests, under their own ids."""
        try:
            for record in unsigned:
                self.write(record)
        except BenchError as error:
            tell(f"records of an earlier version stay without a digest of themselves: {error}")
        else:
            if unsigned:
                tell(f"records of an earlier version: {len(unsigned):,} now carry a digest of themselves")

    def _bring_up(self, path: Path, record: Record) -> str:
        """Rewrites a record of an older schema version, and renames its set; returns a sentence about it.

        Raises:
            OSError, BenchError: a file cannot be written.
        """
        if self.path(record.id).exists():
            path.replace(path.with_suffix(".json.older"))
            return f"record {path.name}: a newer record of the same cell is there; it is now {path.stem}.json.older"
        stored = parse_json(path.read_bytes())["set"]
        if stored is not None and record.set is not None and record.set.artefact not in (None, stored["artefact"]):
            folder = set_folder(self.out, str(stored["artefact"]))
            with contextlib.suppress(OSError):  # the set may be gone, or renamed already for another record
                folder.replace(folder.with_name(str(record.set.artefact)))
        self.write(record)
        path.unlink()
        return f"record {path.name}: brought to schema {SCHEMA}, now {record.id}.json"

    def _load(self, path: Path, history: bool = True) -> _Read:
        """Reads a record from a file that is named after its id.

        Raises:
            OSError, ValueError: the file cannot be read, or is damaged.
        """
        read = _read(path.read_bytes(), history)
        if read.written_id != path.stem:
            raise ValueError("its file is not named after its id")
        return read


Resume = Literal["missing", "failed", "always", "never"]


def to_run(status: Status | None, resume: Resume) -> bool:
    """Whether to run a cell with this recorded status (None: no record).

    ``missing`` runs cells without a finished record, ``failed`` these and the failed ones, ``always`` all, ``never`` none.
    """
    if resume == "always":
        return True
    if resume == "never":
        return False
    unfinished: tuple[Status | None, ...] = (None, "interrupted", "timeout")
    return status in unfinished or (resume == "failed" and status in ("failed", "oom"))
