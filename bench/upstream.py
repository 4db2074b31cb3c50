"""Upstream artefacts in the cache: made part by part under a lock, each part one file that carries its key and its cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

import torch
from filelock import FileLock, Timeout

from bench.api import Artefact
from bench.errors import BenchError
from bench.store.artefacts import load_meta, load_tensors, save_tensors
from bench.store.damage import set_aside
from bench.store.records import PhaseCost, canonical_json, total

MakePart = Callable[[int, Path], tuple[Mapping[str, torch.Tensor], PhaseCost]]
"""Makes one part, given its number and a file for its checkpoints: its tensors and what it cost."""


@final
class StoredArtefact(Artefact):
    """The parts of one artefact, ``000.safetensors`` and so on in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, number: int) -> dict[str, torch.Tensor]:
        """See `Artefact`."""
        loaded = load_tensors(part_path(self.folder, number))
        if loaded is None:
            raise BenchError(f"{part_path(self.folder, number)} is missing or damaged; run the same command again")
        return loaded[0]

    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        """See `Artefact`."""
        from safetensors import SafetensorError, safe_open

        path = part_path(self.folder, number)
        try:
            with safe_open(path, framework="pt") as file:
                found: torch.Tensor = file.get_slice(name)[rows]
                return found
        except (OSError, SafetensorError) as error:
            raise BenchError(f"{path} is missing or damaged; run the same command again") from error


def open_or_make(
    cache: Path, name: str, key: Mapping[str, Any], parts: int, make: MakePart, wait: Callable[[str], None]
) -> tuple[StoredArtefact, PhaseCost]:
    """The artefact of that key, making what the cache lacks of it, and what making all of it cost.

    Two processes may ask at the same time: one makes a part, the other waits and then finds it.

    Args:
        cache: the cache folder; artefacts lie in its folder ``upstream``.
        name: what it is, for the folder's name.
        key: all that the content depends on.
        parts: how many there are.
        make: see `MakePart`.
        wait: called about once a second, with a line for the user, while another process works on it; may raise.

    Returns:
        The artefact, and the cost summed over its parts: ``shared`` unless this call made one of them.
    """
    written = canonical_json(dict(key))
    folder = cache / "upstream" / f"{name}-{hashlib.sha256(written.encode()).hexdigest()[:24]}"
    costs, made = [], False
    for number in range(parts):
        path = part_path(folder, number)
        cost = _cost(path, written)
        if cost is None:
            with _locked(folder, wait):
                cost = _cost(path, written)  # another process may just have made it
                if cost is None:
                    if path.exists():
                        wait(f"{path} is damaged, now {set_aside(path).name}; it is made again")
                    checkpoint = path.with_name(f"{number:03}.partial.safetensors")
                    tensors, cost = make(number, checkpoint)
                    save_tensors(path, tensors, {"key": written, "cost": asdict(cost)})
                    checkpoint.unlink(missing_ok=True)
                    made = True
        costs.append(replace(cost, stored_bytes=path.stat().st_size))
    return StoredArtefact(folder), replace(total(costs), shared=not made)


def part_path(folder: Path, number: int) -> Path:
    """The file of one part."""
    return folder / f"{number:03}.safetensors"


def _cost(path: Path, key: str) -> PhaseCost | None:
    """What a finished part cost; None if it is not there, damaged, or of another key."""
    meta = load_meta(path)
    if meta is None or meta.get("key") != key:
        return None
    try:
        return PhaseCost(**meta["cost"])
    except (KeyError, TypeError):
        return None


@contextmanager
def _locked(folder: Path, wait: Callable[[str], None]) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=1.0)
            break
        except Timeout:
            wait(f"waiting for another cell to make {folder.name.rpartition('-')[0]}")
    try:
        yield
    finally:
        lock.release()
