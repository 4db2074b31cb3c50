"""Builds records with chosen figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.api import Evaluation
from bench.results.cells import Cell
from bench.results.records import PhaseCost, Record, SetReport

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
    report = SetReport("dense", clips, stored, 4 * stored, {}, None) if stored is not None and correct else None
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
