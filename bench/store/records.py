"""The record of one cell: what was asked, what came out, what it cost. One JSON file each, written the moment the cell ends.

Raw figures only; every mean, interval and share is derived from these by `bench.tables`. No torch is needed to read them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from bench import bits, budget, temporal
from bench.api import Evaluation
from bench.budget import PLAIN, Storage
from bench.config import Value
from bench.errors import BenchError

SCHEMA = 1

Status = Literal["ok", "failed", "oom", "timeout", "skipped", "interrupted"]


@dataclass(frozen=True)
class Cell:
    """One point of the grid. Its identity is the SHA-256 of the canonical JSON of exactly these fields.

    (Without budget and storage where these have their defaults: cells of before there were any keep their ids.)

    Attributes:
        method, config, source: the method's name, resolved hyper-parameters and the hash of its source.
        dataset, fingerprint: display name and data fingerprint (`ClipIndex`).
        geometry: fields of `Geometry`.
        profile, network, protocol: names; the protocol with its version, ``standard/1``.
        ipc: clips per class, or None where the method does not use it.
        setting: the temporal setting written out, ``n16-r16-k1-nearest``.
        seed: distillation seed, or None where nothing is random.
        judged_on: the split that evaluations test on.
        schema: version of this layout.
        budget: bytes that the set may take, or None where IPC is the budget. IPC is then what fits by the plan.
        storage: how float tensors are stored (`bench.synthetic.coded`).
    """

    method: str
    config: dict[str, Value]
    source: str
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

    def id(self) -> str:
        """64 hexadecimal digits."""
        later = {"budget": None, "storage": PLAIN}
        identity = {name: value for name, value in vars(self).items() if name not in later or value != later[name]}
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()

    def title(self) -> str:
        """What the cell is, in a line."""
        parts = [self.method, self.dataset]
        parts += [] if self.setting == str(temporal.dense(self.geometry["frames"])) else [self.setting]
        parts += [budget.written(self.budget)] if self.budget is not None else []
        parts += [f"ipc {self.ipc}"] if self.ipc is not None and self.budget is None else []
        parts += [self.storage] if self.storage != PLAIN else []
        parts += [f"seed {self.seed}"] if self.seed is not None else []
        parts += [f"on {self.judged_on}"] if self.judged_on != "test" else []
        return " · ".join(parts)


@dataclass(frozen=True)
class StoredTensor:
    """One entry of the byte count."""

    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class SetReport:
    """What the set stores.

    Attributes:
        kind: the representation.
        clips: synthetic clips it renders.
        storage_bytes: summed over tensors at their dtype; integer labels are not counted.
        storage_bytes_fp32: the published way of counting, four bytes a number.
        tensors: the breakdown.
        artefact: file name of the stored set below ``artefacts/``, or None where nothing new is stored.
    """

    kind: str
    clips: int
    storage_bytes: int
    storage_bytes_fp32: int
    tensors: dict[str, StoredTensor]
    artefact: str | None


@dataclass(frozen=True)
class PhaseCost:
    """What one phase (tune, upstream, distil, evaluate, probe) took.

    Attributes:
        wall_seconds: elapsed; for a resumed cell summed over its parts.
        device_seconds: CPU time of the process on a CPU, elapsed time between synchronisations on a GPU.
        peak_device_bytes: most memory allocated on the GPU; 0 on a CPU.
        peak_host_bytes: most resident memory of the process.
        shared: True if the result came from the cache and the seconds are those of the run that made it.
        stored_bytes: on disk for other cells to use (upstream artefacts); no part of the distilled set.
    """

    wall_seconds: float
    device_seconds: float
    peak_device_bytes: int
    peak_host_bytes: int
    shared: bool = False
    stored_bytes: int = 0


def total(costs: Sequence[PhaseCost]) -> PhaseCost:
    """Several costs as one: seconds and stored bytes added, peaks the highest, shared if any is."""
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
    """Motion energy (`bench.motion`) by class; None for a class without clips.

    Attributes:
        set: of the rendered set.
        real: of the real clips that the set was made from.
    """

    set: tuple[float | None, ...]
    real: tuple[float | None, ...]


@dataclass(frozen=True)
class Record:
    """A finished, failed or skipped cell.

    Attributes:
        cell: what was asked.
        status, reason: how it ended; the reason is empty for ``ok``.
        set: what is stored, or None if there is no set.
        evaluations: one per network, raw.
        costs: by phase name.
        history: ``{"step": [...], "loss": [...]}`` of distillation, thinned.
        data: ``classes``, ``train``, ``test`` counts, ``class_names`` in the order of the labels, ``digest`` of the decoded
            clips, ``test_keys_digest`` of the names of the test clips in order (`bench.store.tested`), ``left_out`` as
            ``[key, reason]`` pairs, ``notes``, ``upstream`` costs by artefact (``costs["upstream"]`` is their sum),
            ``storage_loss`` of a storage codec (its ``max`` and ``rms`` over rendered clips, in network units).
        provenance: commit, versions, hardware, times.
        motion: see `Motion`; None if it was not measured.
        tuning: how `bench.tuning` chose the config, or None; no part of what was asked, hence not of the id.
    """

    cell: Cell
    status: Status
    reason: str = ""
    set: SetReport | None = None
    evaluations: tuple[Evaluation, ...] = ()
    costs: dict[str, PhaseCost] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    motion: Motion | None = None
    tuning: dict[str, Any] | None = None

    @functools.cached_property
    def id(self) -> str:
        """The cell's id."""
        return self.cell.id()

    def to_json(self) -> str:
        """Indented JSON; accuracy, per-class accuracy and selection inflation are added for readers of the file, and ignored on reading."""
        body = {"id": self.id, **dataclasses.asdict(self)}
        for entry, evaluation in zip(body["evaluations"], self.evaluations, strict=True):
            entry["accuracy"] = evaluation.accuracy()
            entry["selection_inflation"] = evaluation.selection_inflation()
            entry["per_class"] = [row[i] / max(1, sum(row)) for i, row in enumerate(evaluation.confusion)]
        return json.dumps(_finite(body), indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


def from_json(text: str | bytes, history: bool = True) -> Record:
    """Reads a record.

    Args:
        text: as `Record.to_json` writes it; bytes are UTF-8.
        history: False leaves the history out: of ten thousand records it takes most of the memory.

    Raises:
        ValueError: not a record of this schema, with what is wrong.
    """
    try:
        body = orjson.loads(text)  # thrice as fast as json, which a table of ten thousand records feels
        if body["cell"]["schema"] != SCHEMA:
            raise ValueError(f"schema {body['cell']['schema']}, this version reads {SCHEMA}")
        cell = Cell(**body["cell"])
        report = body["set"]
        if body["status"] not in get_args(Status):
            raise ValueError(f"unknown status {body['status']!r}")
        record = Record(
            cell=cell,
            status=body["status"],
            reason=body["reason"],
            set=None if report is None else _set_report(report),
            evaluations=tuple(map(_evaluation, body["evaluations"])),
            costs={phase: PhaseCost(**cost) for phase, cost in body["costs"].items()},
            history=body["history"] if history else {},
            data=body["data"],
            provenance=body["provenance"],
            motion=_motion(body.get("motion")),
            tuning=body.get("tuning"),  # records written before there was tuning have none
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a record: {type(error).__name__}: {error}") from error
    if body.get("id") != record.id:
        raise ValueError("its id does not match its contents")
    return record


def _finite(value: Any) -> Any:
    """The value with each number that JSON cannot hold (a diverged loss) as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _set_report(report: Mapping[str, Any]) -> SetReport:
    tensors = {name: StoredTensor(tuple(t["shape"]), t["dtype"], t["bytes"]) for name, t in report["tensors"].items()}
    return SetReport(**{**report, "tensors": tensors})


def _motion(motion: Mapping[str, Any] | None) -> Motion | None:
    return None if motion is None else Motion(tuple(motion["set"]), tuple(motion["real"]))


_FIELDS = tuple(entry.name for entry in dataclasses.fields(Evaluation))


def _evaluation(entry: Mapping[str, Any]) -> Evaluation:
    fields = {name: entry[name] for name in _FIELDS if name in entry}  # those that came later have defaults
    confusion = tuple(map(tuple, entry["confusion"]))
    if set(map(len, confusion)) != {len(confusion)}:
        raise TypeError("its confusion matrix is not square")
    evaluation = Evaluation(**{**fields, "confusion": confusion, "checkpoints": tuple(entry.get("checkpoints", ()))})
    if evaluation.correct_clips and bits.count(evaluation.correct_clips, evaluation.tested()) != evaluation.correct():
        raise TypeError("its test clips are not the ones that its confusion matrix counts")
    return evaluation


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces."""
    return _CANONICAL.encode(value)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file so that readers see the old or the whole new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class RecordStore:
    """The folder of records, ``OUT/cells/<id>.json``."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "cells"

    def path(self, cell_id: str) -> Path:
        """Where the record of a cell lies."""
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

    def read(self, cell_id: str) -> Record | None:
        """The record of a cell; None if there is none or it cannot be trusted."""
        try:
            return from_json(self.path(cell_id).read_bytes())
        except (OSError, ValueError):
            return None

    def all(self, on_bad: Any = None, history: bool = True) -> Iterator[Record]:
        """Every readable record, in file-name order; unreadable ones go to ``on_bad(path, reason)`` and are left out.

        ``history``: see `from_json`.
        """
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield from_json(path.read_bytes(), history)
            except (OSError, ValueError) as error:
                if on_bad is not None:
                    on_bad(path, str(error))
