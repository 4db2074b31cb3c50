"""What is kept of a cell that ran out of memory, so that it goes on with fewer clips at a time, also after a break."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from bench.core.files import parse_json, write_atomic
from bench.core.sealed import seal, unseal
from bench.results.records import PhaseCost

MICRO_BATCH = 32
"""Clips in one pass when a cell is tried again: a quarter of what a test pass takes otherwise."""

_FILE = "retried.json"


def note(folder: Path, reason: str, clips: int = MICRO_BATCH, peak: PhaseCost | None = None) -> dict[str, Any]:
    """Keeps, and gives back, why the cell is tried once more.

    Args:
        folder: of the cell's checkpoints.
        reason: in what words memory ran out.
        clips: at a time from now on.
        peak: the most memory that it had in use, if known.
    """
    peak = peak or PhaseCost(0.0, 0.0, 0, 0)
    retried = {
        "reason": reason,
        "clips_at_a_time": clips,
        "peak_device_bytes": peak.peak_device_bytes,
        "peak_host_bytes": peak.peak_host_bytes,
    }
    with contextlib.suppress(OSError):  # it would run out of memory again, and be tried again
        write_atomic(folder / _FILE, json.dumps(seal(retried)).encode())
    return retried


def read(folder: Path) -> dict[str, Any] | None:
    """What was kept so; None if there is nothing, or it is damaged."""
    try:
        return unseal(parse_json((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
