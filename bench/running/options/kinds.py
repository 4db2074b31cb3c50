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
        read: makes the value of the text; None, and a mistake, where it is wrong.
        numbers: whether a part may also be written as a whole number.
    """

    metavar: str
    read: Callable[[str, Mistakes], tuple[Any, ...] | None] = lambda text, mistakes: tuple(split_list(text))
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


def value(kind: Kind, given: Any, mistakes: Mistakes) -> Any:
    """The value of an option; None if it is wrong, which ``mistakes`` then tells."""
    if isinstance(kind, Text):
        return mistakes.attempt(kind.read, given)
    if isinstance(kind, Listed):
        return kind.read(given, mistakes)
    return given


# ----------------------------------------------------------------------------------------------------------------------
# Values


def at_least_one(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def minutes(text: str) -> float:
    """A time in minutes.

    Raises:
        ValueError: it is no number above 0.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError(f"'{text}' is not a number of minutes above 0")
    return number


def whole_numbers(option: str, least: int) -> Callable[[str, Mistakes], tuple[int, ...]]:
    """Reads numbers and ranges, ``0``, ``5`` or ``0-4``, of at least ``least``; none where one is wrong.

    ``option`` is what messages call it.
    """
    return lambda text, mistakes: mistakes.attempt(_whole_numbers, text, option, least) or ()


def _whole_numbers(text: str, option: str, least: int) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in split_list(text):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BenchError(f"{option}: '{part}' is not a whole number of at least {least} (or a range such as 0-4)")
        if dash and int(last) < int(first):
            raise BenchError(f"{option}: '{part}' counts down; write {last}-{first}")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or min(numbers) < least:
        raise BenchError(f"{option}: '{text}' must hold whole numbers of at least {least}, such as 1,5")
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
