"""How much of a cell earlier runs have done, as its checkpoints tell."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.files import parse_json
from bench.core.sealed import unseal
from bench.results.artefacts import load_meta
from bench.results.cells import Cell
from bench.running.cell.context import Context

_FINISHED = {"evaluate": "evaluations.json", "probe": "frozen.json"}


def seconds_before(context: Context, cell: Cell) -> float | None:
    """Seconds that earlier parts of a cell took, as far as what they have kept tells; None if there is nothing to go on from."""
    folder = context.checkpoints(cell.id())
    state = _meta(context.checkpoints(cell.distillation().id()) / "distil.safetensors")
    distilled = _body(folder / "distilled.json") or (state if state.get("cell") == cell.distillation().id() else {})
    costs: dict[str, Any] = {phase: _body(folder / file).get("cost") for phase, file in _FINISHED.items()}
    training = _meta(folder / "training.safetensors")
    if training:
        costs[str(training.get("cell")).partition(" ")[2].partition(" ")[0]] = training.get("cost")
    if not distilled and not any(costs.values()):
        return None
    journal = distilled.get("journal") or {}
    return sum(map(_seconds, [journal.get("distil"), *(journal.get("upstream") or {}).values(), *costs.values()]))


def _seconds(cost: Mapping[str, Any] | None) -> float:
    return 0.0 if not cost or cost.get("shared") else float(cost.get("wall_seconds", 0.0))


def _meta(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        return load_meta(path) or {}
    return {}


def _body(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return unseal(parse_json(path.read_text(encoding="utf-8")))
    return {}
