"""Yes-or-no answers as hexadecimal digits, four a digit, the first answer in the highest bit."""

from __future__ import annotations

from collections.abc import Sequence


def pack(flags: Sequence[bool]) -> str:
    """The answers as digits; zeros fill the last one up."""
    bits = "".join("1" if flag else "0" for flag in flags) + "0" * (-len(flags) % 4)
    return f"{int(bits, 2):0{len(bits) // 4}x}" if bits else ""


def count(digits: str, of: int) -> int:
    """How many of the first ``of`` answers are yes.

    Raises:
        ValueError: as `unpack`.
    """
    _check(digits, of)
    return (int(digits or "0", 16) >> (-of % 4)).bit_count()


def unpack(digits: str, count: int) -> list[bool]:
    """The first ``count`` answers.

    Raises:
        ValueError: there are more or fewer digits than so many answers take, or they are not hexadecimal.
    """
    _check(digits, count)
    return [bit == "1" for bit in f"{int(digits or '0', 16):0{4 * len(digits)}b}"[:count]]


def _check(digits: str, count: int) -> None:
    if len(digits) != -(-count // 4):
        raise ValueError(f"{len(digits)} hexadecimal digits for {count} answers")
