"""Byte budgets: how they are written, what a set takes under a storage codec, and how many clips fit. Pure; no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from bench.api import ClipShape, Method, Workload
from bench.errors import BenchError
from bench.temporal import TemporalSetting

Storage = Literal["float32", "float16", "uint8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
"""How float tensors of a distilled set are stored; uint8 pixels of real clips are stored as they are by each."""

PLAIN: Storage = "float32"

_WIDTH: dict[Storage, int] = {"float32": 4, "float16": 2, "uint8": 1}
_UNITS = {"": 1, "b": 1} | {f"{p}b": 1000**k for k, p in enumerate("kmg", 1)} | {
    f"{p}ib": 1024**k for k, p in enumerate("kmg", 1)
}  # fmt: skip

# What a codec keeps beside the numbers: scale and offset, 8 bytes, of at most this many tensors.
_TENSORS = 8
_OVERHEAD = 8 * _TENSORS


def parse_bytes(text: str) -> int:
    """The bytes that a user wrote: ``4194304``, ``500KB`` (1000s) or ``1.5MiB`` (1024s), rounded down.

    Raises:
        BenchError: it is no such thing, or less than a byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in _UNITS or (found := int(float(match[1]) * _UNITS[match[2]])) < 1:
        raise BenchError(
            f"--budget: '{text}' is not a number of bytes of at least 1, such as 4194304, 500KB or 1MiB "
            "(valid units: B, KB, MB, GB of 1000; KiB, MiB, GiB of 1024)"
        )
    return found


def written(budget: int) -> str:
    """A budget as people write it: the largest unit that is exact, else bytes."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if budget % size == 0:
            return f"{budget // size} {unit}"
    return f"{budget:,} bytes"


def stores_float32(method: Method[Any]) -> bool:
    """Whether a method stores float32 numbers, which a storage codec shrinks, and not uint8 pixels.

    Read off what it says of one clip of one pixel, three numbers: float32 ones take a multiple of four bytes.
    """
    pixel = Workload(1, 1, 1, ClipShape(3, 1, 1, 1), TemporalSetting(1, 1, 1, "nearest"))
    return method.stored_bytes(pixel) % 4 == 0


def needed_bytes(method: Method[Any], work: Workload, storage: Storage) -> int:
    """The most bytes that a method's set takes under a storage codec."""
    plain = method.stored_bytes(work)
    if storage == PLAIN or not stores_float32(method):
        return plain
    # Of frames that learning places, their places are stored as uint8 flags.
    flags = work.classes * work.ipc * work.clip.frames if work.setting.interpolation == "adaptive" else 0
    return (plain - flags) // 4 * _WIDTH[storage] + flags + _OVERHEAD


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 1 to ``most`` that fits, 0 if 1 does not; what fits is taken to have fitting ones below it.

    Doubles, then halves: nothing much larger than the answer is ever tried.
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def does_not_fit(name: str, least: int, budget: int) -> str:
    """Why a method is left out of a budget, and the least one that would do."""
    return f"{name} needs {least:,} bytes for one clip a class; the budget is {budget:,} bytes"


def check_storages(names: Sequence[str]) -> tuple[Storage, ...]:
    """The storage codecs of these names.

    Raises:
        BenchError: one does not exist, or none is given.
    """
    unknown = [name for name in names if name not in STORAGES]
    if unknown or not names:
        given = f"'{unknown[0]}' is no storage codec" if unknown else "none given"
        raise BenchError(f"--storage: {given} (valid: {', '.join(STORAGES)})")
    return tuple(dict.fromkeys(name for name in STORAGES if name in names))
