"""Options as frozen dataclasses: built from text or JSON, with every mistake reported at once."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union

import msgspec

from bench.core.errors import BenchError
from bench.core.text import shown

C = TypeVar("C")

Value = bool | int | float | str | None

LARGEST = 10**18
"""Larger whole numbers fit neither a tensor nor every reader of JSON."""

_BOUNDS = {
    "ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "multiple_of": "a multiple of {}",
    "min_length": "of at least {} characters", "max_length": "of at most {} characters", "pattern": "of the form {}",
}  # fmt: skip
"""The words for what `msgspec.Meta` can ask of a value."""


class _OutOfBounds(ValueError):
    """A value has its field's type, but not its bounds. The message is what it should be: 'at least 1'."""


def build(config_type: type[C], values: Mapping[str, Value], where: str) -> C:
    """Makes a config from ``values``; strings are read as the field's type.

    Args:
        config_type: a frozen dataclass whose fields are bool, int, float, str, Literal or optional ones of these, with bounds
            if they are ``Annotated[int, msgspec.Meta(ge=1)]``.
        values: field name to value; text as a user typed it, or a value of the right type.
        where: what the values belong to, for the message (``--set dm``).

    Raises:
        BenchError: names every unknown field and every value of the wrong type or out of bounds in one message, and lists
            the fields.
    """
    kinds = fields(config_type)  # type: ignore[arg-type]  # a class is hashable
    mistakes: list[str] = []
    read: dict[str, Value] = {}
    for name, value in values.items():
        if name not in kinds:
            mistakes.append(f"no field '{name}'")
            continue
        try:
            read[name] = _read(value, kinds[name])
        except _OutOfBounds as error:
            mistakes.append(f"{name}={shown(value)} is not {error}")
        except ValueError:
            mistakes.append(f"{name}={shown(value)} is not {describe(kinds[name])}")
        except TypeError as error:  # bounds that the type cannot have
            mistakes.append(f"{name}: {error}")
    if not mistakes:
        try:
            return config_type(**read)
        except (TypeError, ValueError) as error:  # the config's own __post_init__
            mistakes.append(str(error))
    valid = ", ".join(f"{name} ({describe(kind)})" for name, kind in kinds.items()) or "none"
    raise BenchError(f"{where}: {'; '.join(mistakes)}; fields: {valid}")


@functools.cache
def fields(config_type: type) -> Mapping[str, Any]:
    """Field name to type with bounds; cached, because reading annotations is slow and a large plan needs them often."""
    hints = typing.get_type_hints(config_type, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_type)}


def as_dict(config: Any) -> dict[str, Value]:
    """The fields of a config in order, as plain JSON values."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def allows(config_type: type, name: str, value: Value) -> bool:
    """Whether a field takes a value."""
    try:
        _read(value, fields(config_type)[name])
    except ValueError:
        return False
    return True


def offers(config_type: type, name: str, value: Value) -> bool:
    """Whether there is such a field, and ``value`` is one of the few that it may have."""
    kind = fields(config_type).get(name)
    return typing.get_origin(kind) is Literal and value in typing.get_args(kind)


def unbounded(config_type: type) -> list[str]:
    """The fields that hold a number and have no bounds."""
    return [
        name
        for name, kind in fields(config_type).items()
        if any(part in (int, float) for part in (typing.get_args(kind) or (kind,))) and not _bounds(kind)
    ]


def describe(kind: Any) -> str:
    """A field type in words: 'int', 'one of a|b', 'float or none', 'int, at least 1'."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return f"{describe(kind.__origin__)}, {_bounds(kind)}"
    if origin is Literal:
        return "one of " + "|".join(str(choice) for choice in typing.get_args(kind))
    if origin in (Union, types.UnionType):
        parts = ["none" if part is type(None) else describe(part) for part in typing.get_args(kind)]
        return (", or " if any("," in part for part in parts) else " or ").join(parts)
    return str(getattr(kind, "__name__", kind))


def _bounds(kind: Any) -> str:
    """The bounds of an annotated type in words: 'at least 0 and below 1'."""
    asked = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return " and ".join(
        words.format(format(bound, "g") if isinstance(bound, float) else bound)
        for meta in asked
        for name, words in _BOUNDS.items()
        if (bound := getattr(meta, name)) is not None
    )


def _read(value: Value, kind: Any) -> Value:
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _within(_read(value, kind.__origin__), kind)
    if origin in (Union, types.UnionType):
        parts = typing.get_args(kind)
        if type(None) in parts and (value is None or (isinstance(value, str) and value.lower() == "none")):
            return None
        beyond: _OutOfBounds | None = None
        for part in parts:
            if part is not type(None):
                try:
                    return _read(value, part)
                except _OutOfBounds as error:
                    beyond = error
                except ValueError:
                    continue
        if beyond is not None:
            raise _OutOfBounds(f"{beyond} or none" if type(None) in parts else str(beyond))
        raise ValueError
    if origin is Literal:
        for choice in typing.get_args(kind):
            if value == choice or str(value) == str(choice):
                return choice  # type: ignore[no-any-return]
        raise ValueError
    return _read_plain(value, kind)


def _within(value: Value, kind: Any) -> Value:
    """The value, if it is within the bounds of an annotated type.

    Raises:
        _OutOfBounds: it is not.
    """
    try:
        if value is not None:
            msgspec.convert(value, Annotated[(type(value), *kind.__metadata__)])
    except msgspec.ValidationError as error:
        raise _OutOfBounds(_bounds(kind)) from error
    return value


def _read_plain(value: Value, kind: Any) -> Value:
    if kind is bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise ValueError
    if isinstance(value, bool) or value is None:
        raise ValueError
    if kind is int:
        if isinstance(value, float):
            raise ValueError
        whole = int(value)
        if abs(whole) > LARGEST:
            raise _OutOfBounds("at most 10^18")
        return whole
    if kind is float:
        try:
            number = float(value)
        except OverflowError as error:
            raise ValueError from error
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError
        return number
    if kind is str and isinstance(value, str):
        return value
    raise ValueError
