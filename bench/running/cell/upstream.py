"""Upstream artefacts in the cache. Each part is one file with its key and its cost, and is made under a lock of its own."""

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
from typing_extensions import override

from bench.api import Artefact
from bench.core.errors import BenchError
from bench.core.files import canonical_json, set_aside, state_of
from bench.results.artefacts import is_intact, load_meta, load_tensors, save_tensors
from bench.results.records import PhaseCost, total

MakePart = Callable[[int, Path], tuple[Mapping[str, torch.Tensor], PhaseCost]]
"""Makes one part. Takes its number and a file for its checkpoints; returns its tensors and what it cost."""

_POLL_SECONDS = 1.0


@final
class StoredArtefact(Artefact):
    """The parts of one artefact: ``000.safetensors`` and so on, in one folder.

    If a part has disappeared because the cache was trimmed, it is made again.
    """

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._checked: dict[int, tuple[int, ...]] = {}
        self.folder = parts.folder

    def processors(self) -> list[str]:
        """The kinds of processor that made its parts, each once; unknown ones are left out."""
        parts = [path for path in self.folder.glob("*.safetensors") if "." not in path.stem]  # else a checkpoint
        made = [load_meta(path) or {} for path in parts]
        return sorted({str(meta["processor"]) for meta in made if meta.get("processor")})

    @override
    def part(self, number: int) -> dict[str, torch.Tensor]:
        loaded = load_tensors(part_path(self.folder, number))
        if loaded is None:
            self._parts.renew(number)
            loaded = load_tensors(part_path(self.folder, number))
        if loaded is None:
            raise BenchError(f"{part_path(self.folder, number)} is missing or damaged; run the same command again")
        return loaded[0]

    @override
    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        from safetensors import SafetensorError, safe_open

        self._check(number)
        try:
            with safe_open(part_path(self.folder, number), framework="pt") as file:
                tensor_rows: torch.Tensor = file.get_slice(name)[rows]
                return tensor_rows
        except (OSError, SafetensorError):
            return self.part(number)[name][rows]

    def _check(self, number: int) -> None:
        """Reads a part whole the first time that rows of it are asked for, and again if its file is another one since."""
        path = part_path(self.folder, number)
        state = state_of(path)
        if not state or self._checked.get(number) != state:
            if not is_intact(path):
                self._parts.renew(number)
            self._checked[number] = state_of(path)


@final
class PassingArtefact(Artefact):
    """An artefact too large to be cached. Each part is made when it is asked for, and only the last one is kept."""

    def __init__(self, make: Callable[[int], Mapping[str, torch.Tensor]]) -> None:
        self._make = make
        self._last: tuple[int, dict[str, torch.Tensor]] | None = None

    @override
    def part(self, number: int) -> dict[str, torch.Tensor]:
        if self._last is None or self._last[0] != number:
            self._last = None  # frees its memory first
            self._last = number, dict(self._make(number))
        return self._last[1]

    @override
    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        return self.part(number)[name][rows]


def open_or_make(
    cache: Path,
    name: str,
    key: Mapping[str, Any],
    parts: int,
    make: MakePart,
    wait: Callable[[str], None],
    room: int | None = None,
    processor: str = "",
) -> tuple[StoredArtefact, PhaseCost]:
    """Opens the artefact with that key, after making the parts that the cache lacks.

    Several processes may ask at the same time. They divide the parts among themselves, and none is made twice.

    Args:
        cache: the cache folder; artefacts are in its folder ``upstream``.
        name: what it is, for the folder's name.
        key: everything that the content depends on.
        parts: how many parts there are.
        make: makes one part.
        wait: called about once a second, with a line for the user, while others work on the last parts; may raise.
        room: bytes that all other artefacts may take; `trim` removes the excess.
        processor: the kind that makes what is missing.

    Returns:
        The artefact, and the cost summed over its parts, which is ``shared`` unless this call made one of them.
    """
    key_json = canonical_json(dict(key))
    folder = upstream_root(cache) / f"{name}-{hashlib.sha256(key_json.encode()).hexdigest()[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)  # marks it as used now: `trim` removes the longest unused first
    if room is not None:
        trim(cache, room, folder)
    artefact_parts = _Parts(folder, key_json, make, wait, processor)
    made = artefact_parts.obtain(range(parts))
    costs = [replace(artefact_parts.cost(n), stored_bytes=part_path(folder, n).stat().st_size) for n in range(parts)]
    return StoredArtefact(artefact_parts), replace(total(costs), shared=not made)


def upstream_root(cache: Path) -> Path:
    """The folder of all artefacts in a cache folder."""
    return cache / "upstream"


def part_path(folder: Path, number: int) -> Path:
    """The file of one part."""
    return folder / f"{number:03}.safetensors"


def has_room(cache: Path, expected: int, limit: int) -> bool:
    """Whether an artefact of ``expected`` bytes is within the limit and fits into nine tenths of the free disk space."""
    if expected > limit:
        return False
    cache.mkdir(parents=True, exist_ok=True)
    return expected <= 0.9 * shutil.disk_usage(cache).free


def trim(cache: Path, room: int, keep: Path) -> None:
    """Removes artefacts other than ``keep``, the longest unused first, until the others take at most ``room`` bytes.

    An artefact stays if a process is making a part of it. A process that still needs a removed one makes it again.
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
    """Whether a process is making a part of the artefact."""
    for path in folder.glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False


@final
class _Parts:
    """Makes the missing parts of one artefact, together with other processes."""

    def __init__(self, folder: Path, key: str, make: MakePart, wait: Callable[[str], None], processor: str) -> None:
        self.folder = folder
        self._key = key
        self._make = make
        self._wait = wait
        self._processor = processor

    def cost(self, number: int) -> PhaseCost:
        """What making a finished part cost.

        Raises:
            BenchError: the part is missing or damaged.
        """
        cost = self._cost(number)
        if cost is None:
            raise BenchError(f"{part_path(self.folder, number)} is missing or damaged; run the same command again")
        return cost

    def obtain(self, numbers: Iterable[int]) -> bool:
        """Makes the missing parts that no other process is making, and waits for the others.

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
                self._wait_for_others()
        return made

    def _wait_for_others(self) -> None:
        self._wait(f"waiting for another cell to make {self.folder.name.rpartition('-')[0]}")
        time.sleep(_POLL_SECONDS)

    def _set_aside(self, path: Path) -> None:
        self._wait(f"{path} is damaged; it is now {set_aside(path).name}, and is made again")

    def renew(self, number: int) -> None:
        """Makes a part again that has disappeared or is damaged, unless another process is faster."""
        path = part_path(self.folder, number)
        while path.exists() and not is_intact(path):
            try:
                with FileLock(path.with_suffix(".lock"), timeout=0):
                    if path.exists() and not is_intact(path):
                        self._set_aside(path)
            except Timeout:
                self._wait_for_others()
        self.obtain([number])

    def _try(self, number: int) -> bool:
        """Makes a part, unless another process is making it or has just finished it; returns whether it did."""
        path = part_path(self.folder, number)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                if self._cost(number) is not None:
                    return False
                if path.exists():
                    self._set_aside(path)
                checkpoint = path.with_name(f"{number:03}.partial.safetensors")
                tensors, cost = self._make(number, checkpoint)
                save_tensors(path, tensors, {"key": self._key, "cost": asdict(cost), "processor": self._processor})
                checkpoint.unlink(missing_ok=True)
                return True
        except Timeout:
            return False

    def _cost(self, number: int) -> PhaseCost | None:
        """What a finished part cost; None if the part is missing or damaged, or has another key."""
        meta = load_meta(part_path(self.folder, number))
        if meta is None or meta.get("key") != self._key:
            return None
        try:
            return PhaseCost(**meta["cost"])
        except (KeyError, TypeError):
            return None
