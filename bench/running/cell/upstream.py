"""Upstream artefacts in the cache: each part is one file, made under a lock of its own, that carries its key and its cost."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

import torch
from filelock import FileLock, Timeout

from bench.api import Artefact
from bench.core.errors import BenchError
from bench.core.files import canonical_json, set_aside
from bench.results.artefacts import load_meta, load_tensors, save_tensors
from bench.results.records import PhaseCost, total

MakePart = Callable[[int, Path], tuple[Mapping[str, torch.Tensor], PhaseCost]]
"""Makes one part, given its number and a file for its checkpoints: its tensors and what it cost."""

_POLL_SECONDS = 1.0


@final
class StoredArtefact(Artefact):
    """The parts of one artefact, ``000.safetensors`` and so on in one folder.

    A part that has gone since, because the cache was trimmed, is made again.
    """

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self.folder = parts.folder

    def part(self, number: int) -> dict[str, torch.Tensor]:
        """See `Artefact`."""
        loaded = load_tensors(part_path(self.folder, number))
        if loaded is None:
            self._parts.obtain([number])
            loaded = load_tensors(part_path(self.folder, number))
        if loaded is None:
            raise BenchError(f"{part_path(self.folder, number)} is missing or damaged; run the same command again")
        return loaded[0]

    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        """See `Artefact`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(part_path(self.folder, number), framework="pt") as file:
                found: torch.Tensor = file.get_slice(name)[rows]
                return found
        except (OSError, SafetensorError):
            return self.part(number)[name][rows]


@final
class PassingArtefact(Artefact):
    """Parts too large to be kept: each is made when it is asked for, and forgotten when the next one is."""

    def __init__(self, make: Callable[[int], Mapping[str, torch.Tensor]]) -> None:
        self._make = make
        self._last: tuple[int, dict[str, torch.Tensor]] | None = None

    def part(self, number: int) -> dict[str, torch.Tensor]:
        """See `Artefact`."""
        if self._last is None or self._last[0] != number:
            self._last = None  # frees its memory first
            self._last = number, dict(self._make(number))
        return self._last[1]

    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        """See `Artefact`."""
        return self.part(number)[name][rows]


def open_or_make(
    cache: Path,
    name: str,
    key: Mapping[str, Any],
    parts: int,
    make: MakePart,
    wait: Callable[[str], None],
    room: int | None = None,
) -> tuple[StoredArtefact, PhaseCost]:
    """The artefact of that key, making what the cache lacks of it, and what making all of it cost.

    Several processes may ask at the same time: they share the parts out among them, and none is made twice.

    Args:
        cache: the cache folder; artefacts lie in its folder ``upstream``.
        name: what it is, for the folder's name.
        key: all that the content depends on.
        parts: how many there are.
        make: see `MakePart`.
        wait: called about once a second, with a line for the user, while others work on the last parts; may raise.
        room: bytes that all other artefacts may take; see `trim`.

    Returns:
        The artefact, and the cost summed over its parts: ``shared`` unless this call made one of them.
    """
    written = canonical_json(dict(key))
    folder = upstream_root(cache) / f"{name}-{hashlib.sha256(written.encode()).hexdigest()[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)  # used now: `trim` takes those first that were not for the longest time
    if room is not None:
        trim(cache, room, folder)
    found = _Parts(folder, written, make, wait)
    made = found.obtain(range(parts))
    costs = [replace(found.cost(n), stored_bytes=part_path(folder, n).stat().st_size) for n in range(parts)]
    return StoredArtefact(found), replace(total(costs), shared=not made)


def upstream_root(cache: Path) -> Path:
    """Where artefacts lie in a cache folder."""
    return cache / "upstream"


def part_path(folder: Path, number: int) -> Path:
    """The file of one part."""
    return folder / f"{number:03}.safetensors"


def has_room(cache: Path, expected: int, limit: int) -> bool:
    """Whether an artefact of ``expected`` bytes may be kept: within the limit, and in nine tenths of the disk's free space."""
    if expected > limit:
        return False
    cache.mkdir(parents=True, exist_ok=True)
    return expected <= 0.9 * shutil.disk_usage(cache).free


def trim(cache: Path, room: int, keep: Path) -> None:
    """Takes artefacts but ``keep`` away, the longest unused first, until they take at most ``room`` bytes.

    Those of which a part is being made stay. Whoever still reads from one that is gone makes it again.
    """
    others = [path for path in upstream_root(cache).glob("*") if path.is_dir() and path != keep]
    sizes = {folder: sum(file.stat().st_size for file in folder.glob("*")) for folder in others}
    excess = sum(sizes.values()) - room
    for folder in sorted(others, key=lambda path: path.stat().st_mtime):
        if excess <= 0:
            return
        if not _busy(folder):
            shutil.rmtree(folder, ignore_errors=True)
            excess -= sizes[folder]


def _busy(folder: Path) -> bool:
    """Whether a process is making a part."""
    for path in folder.glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False


@final
class _Parts:
    """The parts of one artefact as this process may get at them."""

    def __init__(self, folder: Path, key: str, make: MakePart, wait: Callable[[str], None]) -> None:
        self.folder = folder
        self._key = key
        self._make = make
        self._wait = wait

    def cost(self, number: int) -> PhaseCost:
        """What making a finished part cost.

        Raises:
            BenchError: it is not there, or damaged.
        """
        found = self._cost(number)
        if found is None:
            raise BenchError(f"{part_path(self.folder, number)} is missing or damaged; run the same command again")
        return found

    def obtain(self, numbers: Iterable[int]) -> bool:
        """Makes those of these parts that are missing and that nobody else makes, and waits for the rest.

        Returns:
            Whether it made any.
        """
        made = False
        missing = [number for number in numbers if self._cost(number) is None]
        while missing:
            mine = [number for number in missing if self._try(number)]
            made = made or bool(mine)
            missing = [number for number in missing if self._cost(number) is None]
            if missing and not mine:
                self._wait(f"waiting for another cell to make {self.folder.name.rpartition('-')[0]}")
                time.sleep(_POLL_SECONDS)
        return made

    def _try(self, number: int) -> bool:
        """Makes a part unless another process has it in hand or has just finished it."""
        path = part_path(self.folder, number)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                if self._cost(number) is not None:
                    return False
                if path.exists():
                    self._wait(f"{path} is damaged, now {set_aside(path).name}; it is made again")
                checkpoint = path.with_name(f"{number:03}.partial.safetensors")
                tensors, cost = self._make(number, checkpoint)
                save_tensors(path, tensors, {"key": self._key, "cost": asdict(cost)})
                checkpoint.unlink(missing_ok=True)
                return True
        except Timeout:
            return False

    def _cost(self, number: int) -> PhaseCost | None:
        """What a finished part cost; None if it is not there, damaged, or of another key."""
        meta = load_meta(part_path(self.folder, number))
        if meta is None or meta.get("key") != self._key:
            return None
        try:
            return PhaseCost(**meta["cost"])
        except (KeyError, TypeError):
            return None
