"""Options as arguments in Python: lists, mappings and numbers for what the command line takes as text."""

from __future__ import annotations

import difflib
import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import assert_never

from bench.core.config import LARGEST
from bench.core.errors import BenchError, Mistakes
from bench.core.text import shown
from bench.running.options.kinds import (
    MOST,
    Choice,
    Fields,
    Flag,
    Given,
    Kind,
    Listed,
    Number,
    Overrides,
    Repeated,
    Text,
    as_written,
    merged,
    overrides,
)
from bench.running.options.options import OPTIONS


def read(arguments: Mapping[str, object], mistakes: Mistakes) -> dict[str, Given]:
    """What arguments give, by field name; one that is None is not given.

    Args:
        arguments: by name.
        mistakes: takes in hyper-parameters that cannot be read.

    Raises:
        BenchError: an argument is not of its option's kind.
    """
    return {
        name: _given(name, OPTIONS[name].kind, argument, mistakes)
        for name, argument in arguments.items()
        if argument is not None
    }


def unknown(name: str) -> BenchError:
    """There is no such option."""
    names = ["experiment", *OPTIONS]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return BenchError(f"run(): no option '{name}'{hint} (valid: {', '.join(names)})")


def _given(name: str, kind: Kind, argument: object, mistakes: Mistakes) -> Given:
    """What an argument gives.

    Raises:
        BenchError: it is not of the option's kind.
    """
    match kind:
        case Flag():
            if not isinstance(argument, bool):
                raise BenchError(f"run(): {name}={shown(argument)} is not True or False")
            return argument
        case Choice():
            if argument not in kind.names:
                valid = ", ".join(map(repr, kind.names))
                raise BenchError(
                    f"run(): argument --{OPTIONS[name].key}: invalid choice: {shown(argument)} (choose from {valid})"
                )
            return str(argument)
        case Number():
            try:
                return kind.parse(argument if isinstance(argument, str) else shown(argument))
            except ValueError as error:
                raise BenchError(f"run(): argument --{OPTIONS[name].key}: {error}") from error
        case Text():
            return _text(name, argument, numbers=False)
        case Listed():
            return ",".join(_texts(name, argument, kind.numbers))
        case Repeated():
            return tuple(_texts(name, argument, numbers=False))
        case Fields():
            return mistakes.attempt(_fields, name, argument) or {}
    assert_never(kind)


def _texts(name: str, argument: object, numbers: bool) -> list[str]:
    """The parts of a list, or the one that stands in its place, as text. Whole numbers are parts only where ``numbers`` are.

    Raises:
        BenchError: a part is of another type, or there are too many; an endless iterator is not read to its end.
    """
    parts = [argument]
    if isinstance(argument, Iterable) and not isinstance(argument, str | bytes | Mapping):
        parts = list(itertools.islice(argument, MOST + 1))
    if len(parts) > MOST:
        raise BenchError(f"run(): {name} holds more than {MOST:,} parts")
    return [_text(name, part, numbers) for part in parts]


def _text(name: str, part: object, numbers: bool) -> str:
    is_number = type(part) is int and abs(part) <= LARGEST
    if not (isinstance(part, str | os.PathLike) or (numbers and is_number)):
        raise BenchError(f"run(): {name}={shown(part)} is not text{' or a whole number' * numbers}")
    return str(part)


def _fields(name: str, argument: Any) -> Overrides:
    """Hyper-parameters in any of the forms of `Hyper`.

    Raises:
        BenchError: one has no method, or no field.
    """
    if not isinstance(argument, Mapping):
        return overrides(_texts(name, argument, numbers=False))
    if not all(isinstance(key, str) for key in argument):
        raise BenchError(f"run(): {name} has keys that are not text; write {{'dm': {{'lr': 3}}}}")
    nested = {
        method: {field: _written(number) for field, number in fields.items()}
        for method, fields in argument.items()
        if isinstance(fields, Mapping)
    }
    flat = [f"{target}={_written(number)}" for target, number in argument.items() if not isinstance(number, Mapping)]
    return merged(nested, overrides(flat))


def _written(number: object) -> str:
    """A hyper-parameter's value as text; of one that has none, its type, which no field takes."""
    return as_written(number) if not isinstance(number, int) or abs(number) <= LARGEST else shown(number)
