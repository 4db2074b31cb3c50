"""The kinds of options that `run` has: what a value of each kind looks like, wherever it is written.

An option is given as a word of the command line, as a key of an experiment file or as an argument in Python. Each of the
three checks what it can by itself and hands on a `Given`, which is the same for all three. `value` makes of it what the
option holds. That comes last, when a file and what stands beside it are joined: what was replaced is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from bench.core.errors import BenchError, Mistakes
from bench.core.text import split_list

Overrides = Mapping[str, Mapping[str, str]]
"""Hyper-parameters as they were written, by method and field. Only the method knows their types."""

Given = bool | int | float | str | tuple[str, ...] | Overrides


@final
@dataclass(frozen=True)
class Flag:
    """Yes or no.

    Attributes:
        negatable: yes unless told otherwise: the command line has ``--no-NAME`` too.
    """

    negatable: bool = False


@final
@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class Number:
    """One number.

    Attributes:
        metavar: how help calls it.
        parse: reads it; its ValueError says what it should be.
    """

    metavar: str
    parse: Callable[[str], float]


@final
@dataclass(frozen=True)
class Text:
    """One text.

    Attributes:
        metavar: how help calls it; None for the option's name.
        read: makes the value of it, or raises a BenchError.
    """

    metavar: str | None = None
    read: Callable[[str], Any] = str


@final
@dataclass(frozen=True)
class Listed:
    """Texts with commas between them, or a list; what is given is the text with the commas.

    Attributes:
        metavar: how help calls it.
        read: makes the value of its parts; None, and a mistake, where they are wrong.
        numbers: whether a part may also be written as a whole number.
    """

    metavar: str
    read: Callable[[list[str], Mistakes], tuple[Any, ...] | None] = lambda parts, mistakes: tuple(parts)
    numbers: bool = False


@final
@dataclass(frozen=True)
class Repeated:
    """Texts, each given by itself; commas have no meaning in them."""

    metavar: str


@final
@dataclass(frozen=True)
class Fields:
    """Hyper-parameters of methods (`Overrides`)."""

    metavar: str


Kind = Flag | Choice | Number | Text | Listed | Repeated | Fields


def value(option: str, kind: Kind, given: Any, mistakes: Mistakes) -> Any:
    """The value of an option; None if it is wrong, which ``mistakes`` then tells. ``option`` is what messages call it."""
    if isinstance(kind, Text):
        return mistakes.attempt(kind.read, given)
    if isinstance(kind, Listed):
        parts = mistakes.attempt(_parts, option, given)
        return None if parts is None else kind.read(parts, mistakes)
    return given


def _parts(option: str, text: str) -> list[str]:
    """The parts of a list.

    Raises:
        BenchError: there are too many.
    """
    parts = split_list(text)
    if len(parts) > MOST:
        raise BenchError(f"{option}: a list of {len(parts):,}; at most {MOST:,} can be given")
    return parts


# ----------------------------------------------------------------------------------------------------------------------
# Values

MOST = 10_000
"""How many parts a list may have, and the largest number of processes, attempts and trials."""

_TEN_YEARS = 10 * 366 * 24 * 60


def at_least_one(text: str) -> int:
    """A whole number of at least 1, and of at most `MOST`.

    Raises:
        ValueError: it is none.
    """
    number = _whole(text)
    if number is None or number < 1:
        raise ValueError(f"'{text}' is not a whole number of at least 1")
    if number > MOST:
        raise ValueError(f"'{text}' is more than {MOST:,}")
    return number


def _whole(text: str) -> int | None:
    """The whole number that is written; None if there is none, or one of more than eighteen digits."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def minutes(text: str) -> float:
    """A time in minutes.

    Raises:
        ValueError: it is no number above 0, or more than ten years.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= _TEN_YEARS:
        raise ValueError(f"'{text}' is not a number of minutes above 0" + " and of at most ten years" * (number > 0))
    return number


def points(text: str) -> float:
    """A number of percentage points.

    Raises:
        ValueError: it is no number above 0, or more than 100.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 100:
        raise ValueError(f"'{text}' is not a number of points above 0" + " and of at most 100" * (number > 0))
    return number


def whole_numbers(option: str, least: int) -> Callable[[list[str], Mistakes], tuple[int, ...]]:
    """Reads numbers and ranges, ``0``, ``5`` or ``0-4``, of at least ``least``; none where one is wrong.

    ``option`` is what messages call it.
    """
    return lambda parts, mistakes: mistakes.attempt(_whole_numbers, parts, option, least) or ()


def _whole_numbers(parts: list[str], option: str, least: int) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in parts:
        written, dash, end = part.partition("-")
        first, last = _whole(written), _whole(end if dash else written)
        if first is None or last is None:
            raise BenchError(f"{option}: '{part}' is not a whole number of at least {least} (or a range such as 0-4)")
        if last < first:
            raise BenchError(f"{option}: '{part}' counts down; write {last}-{first}")
        if last - first >= MOST:
            raise BenchError(f"{option}: '{part}' holds {last - first + 1:,} numbers; at most {MOST:,} can be given")
        numbers += range(first, last + 1)
    if not numbers:
        raise BenchError(f"{option}: none given (such as 1,5)")
    if min(numbers) < least:
        raise BenchError(f"{option}: '{','.join(parts)}' must hold whole numbers of at least {least}, such as 1,5")
    if len(numbers) > MOST:
        raise BenchError(f"{option}: {len(numbers):,} numbers; at most {MOST:,} can be given")
    return tuple(dict.fromkeys(numbers))


def overrides(assignments: Iterable[str]) -> Overrides:
    """Hyper-parameters from texts such as ``dm.lr=30``; later ones win.

    Raises:
        BenchError: one is not METHOD.FIELD=VALUE.
    """
    by_method: dict[str, dict[str, str]] = {}
    for text in assignments:
        target, equals, written = text.partition("=")
        method, dot, field = target.strip().rpartition(".")
        if not (equals and dot and method and field):
            raise BenchError(f"--set: '{text}' is not METHOD.FIELD=VALUE, such as dm.lr=30")
        by_method.setdefault(method, {})[field] = written.strip()
    return by_method


def merged(first: Overrides, second: Overrides) -> Overrides:
    """Both; where they differ, the second."""
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in (*first, *second)}


def as_written(number: object) -> str:
    """A hyper-parameter's value as ``--set`` takes it."""
    return str(number).lower() if isinstance(number, bool) else str(number)
