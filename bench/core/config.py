"""Options as frozen dataclasses: built from text or JSON, with every mistake reported at once."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from bench.core.errors import BenchError

C = TypeVar("C")

Value = bool | int | float | str | None


def build(config_type: type[C], values: Mapping[str, Value], where: str) -> C:
    """Makes a config from ``values``; strings are read as the field's type.

    Args:
        config_type: a frozen dataclass whose fields are bool, int, float, str, Literal or optional ones of these.
        values: field name to value; text as a user typed it, or a value of the right type.
        where: what the values belong to, for the message (``--set dm``).

    Raises:
        BenchError: names every unknown field and every ill-typed value in one message, and lists the fields.
    """
    fields = _fields(config_type)  # type: ignore[arg-type]  # a class is hashable
    mistakes: list[str] = []
    read: dict[str, Value] = {}
    for name, value in values.items():
        if name not in fields:
            mistakes.append(f"no field '{name}'")
            continue
        try:
            read[name] = _read(value, fields[name])
        except ValueError:
            mistakes.append(f"{name}={value!r} is not {describe(fields[name])}")
    if not mistakes:
        try:
            return config_type(**read)
        except (TypeError, ValueError) as error:  # the config's own __post_init__
            mistakes.append(str(error))
    valid = ", ".join(f"{name} ({describe(kind)})" for name, kind in fields.items()) or "none"
    raise BenchError(f"{where}: {'; '.join(mistakes)}; fields: {valid}")


@functools.cache
def _fields(config_type: type) -> Mapping[str, Any]:
    """Field name to type; cached, because reading annotations is slow and a plan of thousands of cells needs them often."""
    hints = typing.get_type_hints(config_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_type)}


def as_dict(config: Any) -> dict[str, Value]:
    """The fields of a config in order, as plain JSON values."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def describe(kind: Any) -> str:
    """A field type in words: 'int', 'one of a|b', 'float or none'."""
    origin = typing.get_origin(kind)
    if origin is Literal:
        return "one of " + "|".join(str(choice) for choice in typing.get_args(kind))
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is type(None) else describe(part) for part in typing.get_args(kind))
    return str(getattr(kind, "__name__", kind))


def _read(value: Value, kind: Any) -> Value:
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        parts = typing.get_args(kind)
        if type(None) in parts and (value is None or (isinstance(value, str) and value.lower() == "none")):
            return None
        for part in parts:
            if part is not type(None):
                try:
                    return _read(value, part)
                except ValueError:
                    continue
        raise ValueError
    if origin is Literal:
        for choice in typing.get_args(kind):
            if value == choice or str(value) == str(choice):
                return choice  # type: ignore[no-any-return]
        raise ValueError
    return _read_plain(value, kind)


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
        return int(value)
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
