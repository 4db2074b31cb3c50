"""Grids under way. Each run writes its cells to ``OUT/grids``, so that ``status`` can say what is still waiting."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import parse_json, write_atomic
from bench.results.claims import Owner, me


@dataclass(frozen=True)
class Listed:
    """A cell of a grid: its id, its description in one line, and the seconds it may take."""

    cell_id: str
    title: str
    seconds: float


@dataclass(frozen=True)
class Grid:
    """A grid that is running or was interrupted.

    Attributes:
        driver: the process that last started it.
        cells: all its cells, including finished ones.
    """

    driver: Owner
    cells: tuple[Listed, ...]


@dataclass(frozen=True)
class _GridFile:
    """A grid as its file holds it: the id, title and seconds of each cell."""

    driver: Owner
    cells: list[tuple[str, str, float]]


def name_of(cell_ids: Iterable[str]) -> str:
    """The name of a grid. The same command always has the same name."""
    return hashlib.sha256("\n".join(sorted(cell_ids)).encode()).hexdigest()[:16]


def path(out: Path, name: str) -> Path:
    """The file of a grid."""
    return out / "grids" / f"{name}.json"


def announce(out: Path, name: str, cells: Sequence[Listed]) -> None:
    """Writes a grid to its file.

    Raises:
        BenchError: the folder cannot be written to.
    """
    body = {"driver": asdict(me()), "cells": [[cell.cell_id, cell.title, round(cell.seconds, 1)] for cell in cells]}
    try:
        write_atomic(path(out, name), (json.dumps(body, ensure_ascii=False, indent=0) + "\n").encode())
    except OSError as error:
        raise BenchError(f"--out {out}: cannot write the list of cells: {error.strerror}") from error


def withdraw(out: Path, name: str) -> None:
    """Removes the file of a grid that is done."""
    with contextlib.suppress(OSError):  # another driver was faster, or other grids are there
        path(out, name).unlink(missing_ok=True)
        (out / "grids").rmdir()


def read_all(out: Path) -> list[Grid]:
    """Every grid that has a file; leaves out those that cannot be read."""
    import msgspec

    grids = []
    for file in sorted((out / "grids").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError, msgspec.MsgspecError):
            grid = msgspec.convert(parse_json(file.read_text(encoding="utf-8")), _GridFile)
            if all(math.isfinite(seconds) for *_, seconds in grid.cells):
                grids.append(Grid(grid.driver, tuple(Listed(*cell) for cell in grid.cells)))
    return grids
