"""Bytes, durations, lists and names, as people write and read them, and as a terminal can show them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bench.core.errors import BenchError

_UNITS = {"": 1, "b": 1} | {f"{p}b": 1000**k for k, p in enumerate("kmg", 1)} | {
    f"{p}ib": 1024**k for k, p in enumerate("kmg", 1)
}  # fmt: skip

_MOST_BYTES = 10**18


def parse_bytes(text: str) -> int:
    """The number of bytes that a user wrote: ``4194304``, ``500KB`` (1000s) or ``1.5MiB`` (1024s), rounded down.

    Raises:
        BenchError: it is no number of bytes, or less than one.
    """
    match = re.fullmatch(r"(\d{1,20}(?:\.\d{1,20})?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    size = int(float(match[1]) * _UNITS[match[2]]) if match is not None and match[2] in _UNITS else 0
    if not 1 <= size <= _MOST_BYTES:
        raise BenchError(
            f"--budget: '{text}' is not a number of bytes of at least 1, such as 4194304, 500KB or 1MiB "
            "(valid units: B, KB, MB, GB of 1000; KiB, MiB, GiB of 1024; at most 10^18 bytes)"
        )
    return size


def written(budget: int) -> str:
    """A number of bytes as people write it: in the largest unit that is exact, else in bytes."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if budget % size == 0:
            return f"{budget // size} {unit}"
    return f"{budget:,} bytes"


def duration(seconds: float) -> str:
    """Seconds in the two units a person would use: ``41 s``, ``12 min``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def split_list(text: str) -> list[str]:
    """Splits at commas that are not inside brackets, so that a dataset's options survive."""
    parts: list[list[str]] = [[]]
    inside = False
    for piece in re.split(r"([\[\],])", text):
        inside = piece == "[" or (inside and piece != "]")
        if piece == "," and not inside:
            parts.append([])
        else:
            parts[-1].append(piece)
    return [part for pieces in parts if (part := "".join(pieces).strip())]


def first_paragraph(docstring: str | None) -> str:
    """The first paragraph of a docstring, on one line; empty if there is none."""
    return " ".join((docstring or "").split("\n\n")[0].split())


def first_few(names: Sequence[str], count: int = 3) -> str:
    """The first of many names, for a message: ``a, b, c and 12 more``."""
    shown = ", ".join(names[:count])
    return f"{shown} and {len(names) - count:,} more" if len(names) > count else shown


def shown(value: object) -> str:
    """A value as Python writes it; its type, in brackets, if that cannot be done, as for a number of 5,000 digits."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def printable(text: str) -> str:
    """The text on one line, with control and format characters (escapes, line breaks, text direction) written out."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
