"""Yes-or-no answers as hexadecimal digits, four a digit, the first answer in the highest bit."""

from __future__ import annotations

from collections.abc import Sequence


def pack(flags: Sequence[bool]) -> str:
    """The digits; the last one is filled up with zeros."""
    bits = "".join("1" if flag else "0" for flag in flags) + "0" * (-len(flags) % 4)
    return f"{int(bits, 2):0{len(bits) // 4}x}" if bits else ""


def count(text: str, of: int) -> int:
    """How many of the first ``of`` answers are yes.

    Raises:
        ValueError: as `unpack`.
    """
    _check(text, of)
    return (int(text or "0", 16) >> (-of % 4)).bit_count()


def unpack(text: str, count: int) -> list[bool]:
    """The first ``count`` answers.

    Raises:
        ValueError: the text does not hold that many, or more than fit into its last digit, or is not hexadecimal.
    """
    _check(text, count)
    return [bit == "1" for bit in f"{int(text or '0', 16):0{4 * len(text)}b}"[:count]]


def _check(text: str, count: int) -> None:
    if len(text) != -(-count // 4):
        raise ValueError(f"{len(text)} hexadecimal digits for {count} answers")
