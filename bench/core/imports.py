"""What the import of a plugin does to its process that is still so when it is done, and that cannot be put back."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from bench.core import members, process
from bench.core.leftovers import running_children
from bench.core.source import INSTALLED
from bench.core.traces import is_own

_PATIENCE = 1.0
"""Seconds that a thread or process has to end by itself."""

_REGISTERS = (
    (atexit, "register"),
    (os, "register_at_fork"),
    (sys, "addaudithook"),
    (faulthandler, "dump_traceback_later"),
)
"""Functions that keep another one for later. What libraries register so is theirs to answer for."""


def lasting_changes(module: str, importer: Callable[[], object]) -> list[str]:
    """Imports a plugin; what that leaves behind, a few words each.

    Args:
        module: its name.
        importer: imports it; what it raises is passed on.
    """
    functions, lasting, limits = process.functions(), process.lasting(), process.limits()
    threads, children = set(threading.enumerate()), running_children()

    def expected(name: str, value: object) -> bool:
        return process.is_put_back(name) or _is_of_a_library(value, module)

    with _registrations() as registered:
        importer()
    return [
        *(f"{name} called" for name, file in registered if is_own(file, module)),
        *process.differing(lasting, process.lasting()),
        *process.lowered(limits),
        *(f"{name} replaced" for name in members.replaced(functions, expected)),
        *_left("thread", lambda: [thread.name for thread in set(threading.enumerate()) - threads]),
        *_left("process", lambda: [name for pid, name in running_children().items() if pid not in children]),
    ]


def _is_of_a_library(value: object, module: str) -> bool:
    """Whether an installed package, and not the plugin, defines this: PyTorch puts a function of its own into `inspect`."""
    if isinstance(value, FunctionType):
        file = value.__code__.co_filename
    else:
        home = sys.modules.get(value.__module__) if isinstance(value, type) else None
        file = getattr(home, "__file__", None) or ""
    return bool(set(INSTALLED) & set(Path(file).parts)) and not is_own(file, module)


def _left(kind: str, names: Callable[[], list[str]]) -> list[str]:
    """What is still there after a moment."""
    limit = time.monotonic() + _PATIENCE
    while (left := names()) and time.monotonic() < limit:
        time.sleep(0.01)
    return [f"a {kind} left running: {name}" for name in sorted(left)]


@contextlib.contextmanager
def _registrations() -> Iterator[list[tuple[str, str]]]:
    """Each call of one of `_REGISTERS` inside: its full name, and the file of the code that called it."""
    calls: list[tuple[str, str]] = []

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append((name, sys._getframe(1).f_code.co_filename))
            return original(*args, **kwargs)

        return call

    originals = {(module, name): getattr(module, name) for module, name in _REGISTERS if hasattr(module, name)}
    watching = {
        (module, name): watched(f"{module.__name__}.{name}", original) for (module, name), original in originals.items()
    }
    for (module, name), function in watching.items():
        setattr(module, name, function)
    try:
        yield calls
    finally:
        for (module, name), function in watching.items():
            if getattr(module, name) is function:  # else the plugin has replaced it
                setattr(module, name, originals[module, name])
