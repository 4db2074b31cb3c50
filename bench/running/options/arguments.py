"""Options as arguments in Python: lists, mappings and numbers for what the command line takes as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import assert_never

from bench.core.errors import BenchError, Mistakes
from bench.running.options.kinds import (
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
                raise BenchError(f"run(): {name}={argument!r} is not True or False")
            return argument
        case Choice():
            if argument not in kind.names:
                valid = ", ".join(map(repr, kind.names))
                raise BenchError(
                    f"run(): argument --{OPTIONS[name].key}: invalid choice: {argument!r} (choose from {valid})"
                )
            return str(argument)
        case Number():
            try:
                return kind.parse(str(argument))
            except ValueError as error:
                raise BenchError(f"run(): argument --{OPTIONS[name].key}: {error}") from error
        case Text():
            return str(argument)
        case Listed():
            return ",".join(map(str, _parts(argument)))
        case Repeated():
            return tuple(map(str, _parts(argument)))
        case Fields():
            return mistakes.attempt(_fields, argument) or {}
    assert_never(kind)


def _parts(argument: object) -> Iterable[object]:
    """The parts of a list, or the one that stands in its place."""
    return argument if isinstance(argument, Iterable) and not isinstance(argument, str) else [argument]


def _fields(argument: Any) -> Overrides:
    """Hyper-parameters in any of the forms of `Hyper`.

    Raises:
        BenchError: one has no method, or no field.
    """
    if not isinstance(argument, Mapping):
        return overrides(map(str, _parts(argument)))
    nested = {
        method: {field: as_written(number) for field, number in fields.items()}
        for method, fields in argument.items()
        if isinstance(fields, Mapping)
    }
    flat = [f"{target}={as_written(number)}" for target, number in argument.items() if not isinstance(number, Mapping)]
    return merged(nested, overrides(flat))
