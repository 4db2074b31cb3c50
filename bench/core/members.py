"""The members of modules and classes: whether somebody has replaced one by another since they were last looked at."""

from __future__ import annotations

import builtins
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeAlias

from bench.core.source import SUITE, is_of_the_suite

Owner: TypeAlias = "ModuleType | type"

Members: TypeAlias = "Mapping[Owner, Mapping[str, Any]]"
"""The members of modules and classes at one moment."""


def members(owners: Iterable[Owner]) -> Members:
    """The members of each of these now."""
    return {owner: dict(vars(owner)) for owner in owners}


def replaced(before: Members, is_expected: Callable[[str, object], bool] = lambda name, value: False) -> list[str]:
    """The full names of members that are others now: functions and classes, and of the suite's modules whatever else.

    Args:
        before: an earlier moment.
        is_expected: whether a member of that full name may have become this value.
    """
    found = []
    for owner, old in before.items():
        if not _are_the_same(old, vars(owner)):
            named = {f"{_full_name(owner)}.{key}": vars(owner).get(key) for key in _differing(owner, old, vars(owner))}
            found += [name for name, value in named.items() if not is_expected(name, value)]
        if isinstance(owner, ModuleType) and sys.modules.get(owner.__name__, owner) is not owner:
            found.append(owner.__name__)
    return found


def with_classes(modules: Iterable[ModuleType]) -> Iterator[Owner]:
    """These modules, and the classes that are found in them with what they inherit from, each once."""
    seen: set[type] = {object, type}
    for module in modules:
        yield module
        for value in list(vars(module).values()):
            if issubclass(type(value), type) and value not in seen:
                new = [kind for kind in type.mro(value) if kind not in seen]
                seen.update(new)
                yield from new


def of_the_suite() -> list[ModuleType]:
    """The loaded modules of the suite."""
    return [module for name, module in list(sys.modules.items()) if is_of_the_suite(name)]


def used_by(modules: Iterable[ModuleType]) -> list[ModuleType]:
    """The built-in functions, and the modules of other packages that these modules use by name.

    Not those of PyTorch, which may not be loaded yet.
    """
    names = {_home(value) for module in modules for value in list(vars(module).values())} - {None}
    tops = {name: str(name).partition(".")[0] for name in names}
    known = {sys.modules.get(str(name)) for name, top in tops.items() if top not in (SUITE, "torch")}
    return [builtins, *(known - {None, builtins})]  # type: ignore[list-item]


def _home(value: object) -> str | None:
    """The name of the module that a value is or comes from."""
    kind = type(value)
    if kind is type or kind is FunctionType or kind is BuiltinFunctionType:
        return value.__module__
    return value.__name__ if isinstance(value, ModuleType) else None


def _are_the_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return len(before) == len(after) and all(map(operator.is_, before.values(), after.values()))


def _differing(owner: Owner, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    own = is_of_the_suite(owner.__module__ if isinstance(owner, type) else owner.__name__)
    for key, value in after.items():
        if key not in before:
            if isinstance(owner, type) and _hides(owner, key, value):
                yield key  # in the place of the one that it inherits
        elif before[key] is not value and (own or callable(value) or callable(before[key])):
            yield key
    yield from (key for key, value in before.items() if key not in after and callable(value))


def _hides(owner: type, key: str, value: object) -> bool:
    named = not key.startswith("__") or isinstance(value, FunctionType)
    return named and any(key in vars(base) for base in owner.__mro__[1:])


def _full_name(owner: Owner) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
