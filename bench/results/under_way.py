"""Grids under way: what each run means to do, in ``OUT/grids``, so that anyone who sees the folder knows what is waiting."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import write_atomic
from bench.results.claims import Owner, me


@dataclass(frozen=True)
class Listed:
    """A cell of a grid: its id, what it is in a line, and the seconds that it may take."""

    cell_id: str
    title: str
    seconds: float


@dataclass(frozen=True)
class Grid:
    """A grid under way or broken off.

    Attributes:
        driver: the process that started it last.
        cells: all, also those that are finished.
    """

    driver: Owner
    cells: tuple[Listed, ...]


@dataclass(frozen=True)
class _Written:
    """A grid as its file has it: of each cell the id, title and seconds."""

    driver: Owner
    cells: list[tuple[str, str, float]]


def name_of(cell_ids: Iterable[str]) -> str:
    """The name of a grid: the same command has the same."""
    return hashlib.sha256("\n".join(sorted(cell_ids)).encode()).hexdigest()[:16]


def path(out: Path, name: str) -> Path:
    """Where a grid is written down."""
    return out / "grids" / f"{name}.json"


def announce(out: Path, name: str, cells: Sequence[Listed]) -> None:
    """Writes a grid down, or again.

    Raises:
        BenchError: the folder cannot be written to.
    """
    body = {"driver": asdict(me()), "cells": [[cell.cell_id, cell.title, round(cell.seconds, 1)] for cell in cells]}
    try:
        write_atomic(path(out, name), (json.dumps(body, ensure_ascii=False, indent=0) + "\n").encode())
    except OSError as error:
        raise BenchError(f"--out {out}: cannot write the list of cells: {error.strerror}") from error


def withdraw(out: Path, name: str) -> None:
    """Removes a grid that is done."""
    with contextlib.suppress(OSError):  # another driver was faster, or others are there
        path(out, name).unlink(missing_ok=True)
        (out / "grids").rmdir()


def read_all(out: Path) -> list[Grid]:
    """Every grid that is written down; what cannot be read is left out."""
    import msgspec

    grids = []
    for file in sorted((out / "grids").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError, msgspec.MsgspecError):
            written = msgspec.convert(json.loads(file.read_text(encoding="utf-8")), _Written)
            if all(math.isfinite(seconds) for *_, seconds in written.cells):
                grids.append(Grid(written.driver, tuple(Listed(*cell) for cell in written.cells)))
    return grids
