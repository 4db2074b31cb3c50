"""Builds records with chosen figures, and looks into leaderboards and tables made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.api import Evaluation
from bench.results.cells import Cell
from bench.results.records import PhaseCost, Record, SetReport, StoredTensor
from bench.tables.leaderboard import leaderboards

CELL: dict[str, Any] = {
    "method": "dm",
    "config": {"lr": 1.0, "steps": 300},
    "version": 1,
    "dataset": "shapes-mixed",
    "fingerprint": "f" * 64,
    "geometry": {"frames": 8, "gap": 8, "scale": 32, "size": 32, "views": 1},
    "profile": "quick",
    "network": "convnet3d-small",
    "protocol": "quick/1",
    "ipc": 1,
    "setting": "n8-r8-k1-nearest",
    "seed": 0,
}


def evaluation(
    network: int, correct: int, counts: Sequence[int] = (50, 50), fitted: bool = True, top5: int | None = None
) -> Evaluation:
    """``correct`` clips on the diagonal, first class first; every other clip is taken for the next class."""
    confusion = []
    for label, count in enumerate(counts):
        right = min(count, correct)
        correct -= right
        row = [0] * len(counts)
        row[label] = right
        row[(label + 1) % len(counts)] += count - right
        confusion.append(tuple(row))
    return Evaluation(network, tuple(confusion), top5, 1.0 if fitted else 0.4, fitted, 0.01, 100)


def record(
    method: str = "dm",
    correct: Sequence[int] = (),
    *,
    counts: Sequence[int] = (50, 50),
    unfit: Sequence[int] = (),
    top5: Sequence[int] = (),
    status: str = "",
    reason: str = "",
    stored: int | None = 2**20,
    clips: int = 2,
    costs: dict[str, PhaseCost] | None = None,
    data: dict[str, Any] | None = None,
    source: str = "a" * 64,
    **cell: Any,
) -> Record:
    """A record whose network k classifies ``correct[k]`` of the test clips correctly; ``cell`` overrides `CELL`.

    ``source`` is that of a plugin's method.
    """
    report = None
    if stored is not None and correct:
        report = SetReport(
            "dense", clips, stored, 4 * stored, {"pixels": StoredTensor((stored,), "uint8", stored)}, None
        )
    return Record(
        cell=Cell(**{**CELL, "method": method, "plugins": {"method": source}, **cell}),
        status=status or "ok",  # type: ignore[arg-type]
        reason=reason,
        set=report,
        evaluations=tuple(
            evaluation(k, right, counts, k not in unfit, top5[k] if top5 else None) for k, right in enumerate(correct)
        ),
        costs=costs or {},
        data=data or {},
    )


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """The function `record`."""
    return record


def only(records, **options):
    (board,) = leaderboards(records, **options)
    return board


def rows(board):
    return {row.label: row for row in board.rows}


def texts(row, column):
    return [note.text for note in row.notes if note.column == column]


@pytest.fixture
def records(make_record):
    """Three seeds of dm and random, the full data, and a method that declined."""
    dm = [[30, 34], [40, 42], [20, 22]]
    random = [[25, 28], [36, 40], [17, 20]]
    upstream = PhaseCost(80.0, 1.0, 0, 10, shared=True)
    costs = {"upstream": upstream, "distil": PhaseCost(12.4, 1.0, 3 * 2**29, 2**30)}
    found = [make_record("dm", right, seed=seed, costs=costs, stored=5 * 2**18) for seed, right in enumerate(dm)]
    found += [make_record("random", right, seed=seed, stored=2**14 * 7) for seed, right in enumerate(random)]
    found += [make_record("full", [70, 80], unfit=[1], ipc=None, seed=None, stored=123 * 2**20)]
    return found + [make_record("mtt", status="skipped", reason="whole clips only", seed=seed) for seed in range(3)]


def cells(text, method):
    """The cells of a row of a terminal table, by its header."""
    lines = text.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("---"))
    header, rule = lines[place - 1], lines[place]
    spans = [match.span() for match in re.finditer("-+", rule)]
    line = next(line for line in lines[place + 1 :] if line.startswith(method))
    return {header[start:end].strip(): line[start:end].strip() for start, end in spans}
