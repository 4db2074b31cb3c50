"""Byte budgets: how they are written, what a set takes under a storage codec, and how many clips fit. Pure; no torch."""

from __future__ import annotations

import operator
from typing import Any

from bench.api import ClipShape, Method, Workload
from bench.core.errors import BenchError
from bench.core.storage import PLAIN, Storage
from bench.core.temporal import TemporalSetting

_WIDTH: dict[Storage, int] = {"float32": 4, "float16": 2, "uint8": 1}

# What a codec keeps beside the numbers: scale and offset, 8 bytes, of at most this many tensors.
_TENSORS = 8
_OVERHEAD = 8 * _TENSORS


def stores_float32(method: Method[Any]) -> bool:
    """Whether a method stores float32 numbers, which a storage codec shrinks, and not uint8 pixels.

    Read off what it says of one clip of one pixel, three numbers: float32 ones take a multiple of four bytes.
    """
    pixel = Workload(1, 1, 1, ClipShape(3, 1, 1, 1), TemporalSetting(1, 1, 1, "nearest"))
    return _bytes(method, pixel) % 4 == 0


def needed_bytes(method: Method[Any], work: Workload, storage: Storage) -> int:
    """The most bytes that a method's set takes under a storage codec."""
    plain = _bytes(method, work)
    if storage == PLAIN or not stores_float32(method):
        return plain
    # Of frames that learning places, their places are stored as uint8 flags.
    flags = work.classes * work.ipc * work.clip.frames if work.setting.interpolation == "adaptive" else 0
    return (plain - flags) // 4 * _WIDTH[storage] + flags + _OVERHEAD


def _bytes(method: Method[Any], work: Workload) -> int:
    """What a method says that its set takes.

    Raises:
        BenchError: it is no number of bytes.
    """
    told: Any = method.stored_bytes(work)
    if isinstance(told, bool) or not hasattr(told, "__index__") or not 0 <= told < 2**63:
        raise BenchError(f"stored_bytes() gives {told!r:.80}; needed is a whole number of bytes, 0 or more")
    return operator.index(told)
