"""The clip store: every usable clip of a dataset at one geometry, decoded once, a memory-mapped uint8 array.

A store is a folder of the cache: ``clips.npy`` holds the pixels, ``index.json`` everything else. It is built in a temporary folder
beside it, which is renamed when it is complete. So a store that exists under its name is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final, overload

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from bench.api import ClipIndex, ClipRef, Dataset, Geometry, Split
from bench.core.errors import BenchError, UnreadableClip
from bench.core.files import canonical_json, parse_json
from bench.data import read_whole
from bench.data import workers as processes
from bench.data.clip_table import ClipTable, Texts, as_table, number, per_class
from bench.data.splits import validation_groups

FORMAT = 1
"""Version of the layout on disk; part of every key."""

CRASHED = "the decoder crashed"

_PIXELS, _INDEX = "clips.npy", "index.json"
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_BLOCK = 1 << 24
_LARGE = 1 << 30


@dataclass(frozen=True)
class ClipStore:
    """Decoded clips, read-only.

    Attributes:
        classes: class names in label order.
        clips: ``(N, views, T, H, W, 3)`` uint8, memory-mapped.
        refs: what each clip is.
        left_out: ``(key, reason)`` of each clip that could not be used.
        digest: SHA-256 of the pixels, labels and splits.
        mirrors: see `ClipIndex`.
    """

    classes: tuple[str, ...]
    clips: NDArray[np.uint8]
    refs: ClipTable
    left_out: tuple[tuple[str, str], ...]
    digest: str
    mirrors: bool = False

    @property
    def keys(self) -> Texts:
        """The key of each clip."""
        return self.refs.keys

    @property
    def labels(self) -> NDArray[np.int64]:
        """``(N,)`` int64."""
        return np.asarray(self.refs.labels, dtype=np.int64)

    def positions(self, split: Split) -> NDArray[np.int64]:
        """Positions of a split's clips, ascending."""
        if split == "test":
            return np.asarray(self.refs.positions("test"), dtype=np.int64)
        train = np.asarray(self.refs.positions("train"), dtype=np.int64)
        if split == "train":
            return train
        groups = Texts(self.refs.group(i) for i in train)
        held = validation_groups(self.labels[train].tolist(), groups)
        validation = np.fromiter((group in held for group in groups), bool, len(groups))
        positions: NDArray[np.int64] = train[validation if split == "validation" else ~validation]
        return positions


def key(index: ClipIndex, geometry: Geometry) -> str:
    """The name of the store of these data at this geometry: the dataset's name, a hash of all that matters, the files' stamp."""
    return _name(index, geometry) + (f"-{index.stamp[:16]}" if index.stamp else "")


def _name(index: ClipIndex, geometry: Geometry) -> str:
    """What stores of the same data have in common, whatever state the files were in."""
    identity = {"format": FORMAT, "fingerprint": index.fingerprint, "geometry": dataclasses.asdict(geometry)}
    name = re.sub(r"[^A-Za-z0-9]+", "-", index.dataset).strip("-")[:60]
    return f"{name}-{hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:24]}"


def open_or_build(
    dataset: Dataset[Any],
    index: ClipIndex,
    geometry: Geometry,
    cache: Path,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> ClipStore:
    """The store of a dataset at a geometry, decoded now if the cache has none.

    Two processes may call it at the same time: one builds, the other waits. A damaged store is built again.

    Args:
        dataset: reads the clips.
        index: of the dataset.
        geometry: of the clips.
        cache: the cache folder; stores lie in its folder ``clips``.
        workers: decoding processes; 1 decodes in this process.
        progress: called with (clips done, clips in all) while building.
        log: called with each line that the user should know: a damaged store, another run that builds it.

    Raises:
        BenchError: the cache cannot be written or is too small, the geometry is impossible, or no usable clip of some
            class's training split, or of the whole test split, is left.
    """
    folder = cache / "clips" / key(index, geometry)
    with contextlib.suppress(_Damaged, FileNotFoundError):
        return _open(folder, index, geometry, log)
    processes.check_guarded()
    _check(index, geometry)
    with _locked(folder, _bytes_needed(index, geometry), log):
        try:
            return _open(folder, index, geometry, log)  # another run may just have built it
        except FileNotFoundError:
            pass
        except _Damaged as damage:
            log(f"clip store {folder} is damaged ({damage}); it is built again")
        _build(dataset, index, geometry, folder, workers, progress)
        return _open(folder, index, geometry, log)


def open_existing(index: ClipIndex, geometry: Geometry, cache: Path) -> ClipStore | None:
    """The store of these data if the cache has a complete one; nothing is decoded. Arguments as `open_or_build`."""
    try:
        return _open(cache / "clips" / key(index, geometry), index, geometry, lambda line: None)
    except (_Damaged, FileNotFoundError):
        return None


def outdated(index: ClipIndex, geometry: Geometry, cache: Path) -> frozenset[str]:
    """Digests of clips that were decoded from these data when their files were in another state than now.

    Those that the files have now are not among them; where these are not decoded yet, they may be.
    """
    if not index.stamp:
        return frozenset()
    now = cache / "clips" / key(index, geometry)
    others = {
        _digest_in(path) for path in now.parent.glob(f"{_name(index, geometry)}-*/{_INDEX}") if path.parent != now
    }
    return frozenset(digest for digest in others - {_digest_in(now / _INDEX)} if digest is not None)


def _digest_in(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["store"]["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


# ----------------------------------------------------------------------------------------------------------------------
# Opening


class _Damaged(Exception):
    """A store is not what its index says."""


def _open(folder: Path, index: ClipIndex, geometry: Geometry, log: Callable[[str], None]) -> ClipStore:
    """Opens a store and checks that it is complete: index, shape, size, samples of the pixels, and all of them if their file
    has changed since they were last read whole.

    Raises:
        FileNotFoundError: there is none.
        _Damaged: there is one that cannot be used.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    try:
        body = parse_json((folder / _INDEX).read_text(encoding="utf-8"))
        stored = body["store"]
        if hashlib.sha256(canonical_json(stored).encode()).hexdigest() != body["sha256"]:
            raise _Damaged(f"{_INDEX} was changed")
        clips: np.memmap[Any, np.dtype[np.uint8]] = np.load(folder / _PIXELS, mmap_mode="r")
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise _Damaged(f"cannot be read: {error}") from error
    if not all(0 <= i < len(index.clips) for i in stored["positions"]):
        raise _Damaged(f"{_INDEX} is of other data")
    refs = _usable(index, stored["positions"])
    shape = (len(refs), *_clip_shape(geometry))
    if clips.shape != shape or clips.dtype != np.uint8:
        raise _Damaged(f"{_PIXELS} holds {clips.dtype} {clips.shape} instead of uint8 {shape}")
    if _sample(clips) != stored["sample"]:
        raise _Damaged(f"{_PIXELS} was changed")
    if not read_whole.is_noted(folder / _PIXELS, stored["digest"]):
        if clips.nbytes > _LARGE:
            log(f"clip store {folder} is new here or has changed; reading all of its {clips.nbytes:,} bytes once")
        if _digest_of(folder / _PIXELS, clips.offset, refs) != stored["digest"]:
            raise _Damaged(f"{_PIXELS} was changed")
        read_whole.note(folder / _PIXELS, stored["digest"])
    return ClipStore(
        classes=index.classes,
        clips=clips,
        refs=refs,
        left_out=tuple((key, reason) for key, reason in stored["left_out"]),
        digest=stored["digest"],
        mirrors=index.mirrors,
    )


def _usable(index: ClipIndex, positions: Sequence[int]) -> ClipTable:
    """The clips at some positions of an index; its own table if these are all of its clips."""
    table = as_table(index.clips)
    return table if len(positions) == len(table) else table.take(positions)


def _digest_of(path: Path, start: int, refs: ClipTable) -> str:
    """`ClipStore.digest`, from all of the pixels, which begin at ``start`` in their file. They are read: a map counts as memory."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while block := file.read(_BLOCK):
            digest.update(block)
    digest.update(_in_words(refs))
    return digest.hexdigest()


def _in_words(refs: ClipTable) -> bytes:
    """The labels and splits of clips, as a store's digest takes them."""
    rows = (f'[{label},"{refs.split(place)}"]' for place, label in enumerate(refs.labels))
    return f"[{','.join(rows)}]".encode()


def _sample(clips: NDArray[np.uint8]) -> str:
    """SHA-256 of evenly spaced pieces of the pixels, or of all if they are few. It is quick to check at any size."""
    flat = clips.reshape(-1)
    digest = hashlib.sha256()
    for start in np.linspace(0, max(0, len(flat) - _SAMPLE_BYTES), _SAMPLES, dtype=np.int64):
        digest.update(flat[start : start + _SAMPLE_BYTES].data)
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------------------
# Building


def _build(
    dataset: Dataset[Any],
    index: ClipIndex,
    geometry: Geometry,
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Decodes every clip into a temporary folder and renames it to ``folder``. The caller holds the lock."""
    building = folder.with_name(f"{folder.name}.building")
    pixels = building / _PIXELS
    needed = _bytes_needed(index, geometry)
    try:
        with _writing(folder.parent, needed):
            for old in (folder, building):  # damaged; left by a run that was killed
                if old.exists():
                    shutil.rmtree(old)
            _check_space(folder.parent, needed)
            building.mkdir()
            _allocate(pixels, (len(index.clips), *_clip_shape(geometry)))
        job = partial(_read_clips, processes.Portable.of(dataset), geometry, str(pixels))
        stop = partial(pixels.unlink, missing_ok=True)
        digest = _Digest(pixels)
        reasons: list[str | None] = processes.run(
            job, _Rows(index.clips), workers, CRASHED, progress, stop, digest.arrived
        )
        positions = [i for i, reason in enumerate(reasons) if reason is None]
        left_out = [(clip.key, reason) for clip, reason in zip(index.clips, reasons, strict=True) if reason is not None]
        _check_enough(index, positions, left_out)
        with _writing(folder.parent, needed):
            clips = _compact(pixels, positions)
            stored = {
                "dataset": index.dataset,
                "geometry": dataclasses.asdict(geometry),
                "positions": positions,
                "left_out": left_out,
                "digest": digest.of(_usable(index, positions)),
                "sample": _sample(clips),
            }
            body = {"store": stored, "sha256": hashlib.sha256(canonical_json(stored).encode()).hexdigest()}
            (building / _INDEX).write_text(json.dumps(body), encoding="utf-8")
            for path in (pixels, building / _INDEX, building):
                _sync(path)
            building.rename(folder)
            _sync(folder.parent)
            read_whole.note(folder / _PIXELS, str(stored["digest"]))
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _read_clips(
    portable: processes.Portable[Dataset[Any]], geometry: Geometry, pixels: str, clips: Sequence[tuple[int, ClipRef]]
) -> list[str | None]:
    """Decodes a few clips into their rows of the array; the reason for each that cannot be used. Runs in a worker."""
    dataset = portable.load()
    reasons: list[str | None] = []
    rows = np.load(pixels, mmap_mode="r+")
    for row, clip in clips:
        if not Path(pixels).exists():
            raise InterruptedError("the build was given up")
        try:
            clip_pixels = dataset.read(clip, geometry)
        except UnreadableClip as error:
            reasons.append(str(error))
            continue
        if clip_pixels.shape != rows.shape[1:] or clip_pixels.dtype != np.uint8:
            raise BenchError(
                f"dataset '{dataset.name}': read() gave {clip_pixels.dtype} {clip_pixels.shape} for '{clip.key}' "
                f"instead of uint8 {rows.shape[1:]}"
            )
        rows[row] = clip_pixels
        reasons.append(None)
    return reasons


def _compact(pixels: Path, positions: Sequence[int]) -> NDArray[np.uint8]:
    """Moves the rows of usable clips together, cuts the file after them, and maps it read-only."""
    rows = np.load(pixels, mmap_mode="r+")
    shape = (len(positions), *rows.shape[1:])
    if shape != rows.shape:
        for row, position in enumerate(positions):
            if row != position:
                rows[row] = rows[position]
        rows.flush()
        start = rows.offset
        del rows
        with pixels.open("r+b") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            assert file.tell() == start  # numpy pads headers so that the first dimension may change
            file.truncate(start + int(np.prod(shape, dtype=np.int64)))
    compacted: NDArray[np.uint8] = np.load(pixels, mmap_mode="r")
    return compacted


@final
class _Rows(Sequence[tuple[int, ClipRef]]):
    """The clips with their rows in the array, made when they are asked for."""

    def __init__(self, clips: Sequence[ClipRef]) -> None:
        self._clips = clips

    @overload
    def __getitem__(self, index: int) -> tuple[int, ClipRef]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[int, ClipRef]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, ClipRef] | Sequence[tuple[int, ClipRef]]:
        rows = range(len(self))[index]
        return (rows, self._clips[rows]) if isinstance(rows, int) else [(row, self._clips[row]) for row in rows]

    def __len__(self) -> int:
        return len(self._clips)


@final
class _Digest:
    """SHA-256 of the pixels, labels and splits of usable clips, taken while later clips are still decoded.

    Args:
        pixels: the array file, before rows are moved together.
    """

    def __init__(self, pixels: Path) -> None:
        self._rows: NDArray[np.uint8] = np.load(pixels, mmap_mode="r")
        self._sum = hashlib.sha256()
        self._ahead: dict[int, str | None] = {}  # rows that arrived before an earlier one
        self._next = 0

    def arrived(self, row: int, reason: str | None) -> None:
        """Takes note of a finished row: its clip is there, or cannot be used for a reason."""
        self._ahead[row] = reason
        while self._next in self._ahead:
            if self._ahead.pop(self._next) is None:
                self._sum.update(self._rows[self._next].data)
            self._next += 1

    def of(self, usable: ClipTable) -> str:
        """The digest, once all rows arrived, of the usable clips."""
        digest = self._sum.copy()
        digest.update(_in_words(usable))
        return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------------------
# Checks


def _check(index: ClipIndex, geometry: Geometry) -> None:
    if not index.clips:
        raise BenchError(f"{index.dataset}: no clips")
    values = dataclasses.asdict(geometry)
    if min(values.values()) < 1 or geometry.size > geometry.scale:
        raise BenchError(f"geometry {values}: every value must be at least 1, and size at most scale")


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"the clip store needs {needed:,} bytes in {folder}, {free:,} are free; "
            "make room, or name another cache folder with BENCH_CACHE"
        )


def _check_enough(index: ClipIndex, positions: Sequence[int], left_out: Sequence[tuple[str, str]]) -> None:
    """Every class must have a training clip left, and the test split a clip, if they had any."""

    usable = _usable(index, positions)
    why = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
    lost = sorted(set(per_class(index.clips, "train")) - set(usable.per_class("train")))
    if lost:
        names = ", ".join(index.classes[label] for label in lost[:5]) + (" ..." if len(lost) > 5 else "")
        raise BenchError(f"{index.dataset}: no training clip of class {names} can be used ({why})")
    if not usable.number("test") and number(index.clips, "test"):
        raise BenchError(f"{index.dataset}: no test clip can be used ({why})")


# ----------------------------------------------------------------------------------------------------------------------
# Files


def _clip_shape(geometry: Geometry) -> tuple[int, int, int, int, int]:
    return geometry.views, geometry.frames, geometry.size, geometry.size, 3


def _bytes_needed(index: ClipIndex, geometry: Geometry) -> int:
    header_and_index = 4096 + 16 * len(index.clips)
    return len(index.clips) * int(np.prod(_clip_shape(geometry), dtype=np.int64)) + header_and_index


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Makes an array file with its disk blocks reserved: writing to a mapped file on a full disk kills the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise


def _sync(path: Path) -> None:
    """Forces a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _writing(folder: Path, needed: int) -> Iterator[None]:
    """Turns errors of the disk into one sentence."""
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"cannot write a clip store of {needed:,} bytes in {folder}: {error.strerror or error}; "
            "make room, or name another cache folder with BENCH_CACHE"
        ) from error


@contextlib.contextmanager
def _locked(folder: Path, needed: int, log: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a store; the system releases that of a killed process."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    with _writing(folder.parent, needed):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            log(f"another run is building the clip store {folder}; waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
