"""What all code of a process shares, as far as it needs no PyTorch: settings, streams, timers, functions that anyone may replace."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core import members

_MOST = 6
_STREAMS = ("stdin", "stdout", "stderr")
_DESCRIPTORS = ("standard input", "standard output", "standard error")
_HOOKS: tuple[tuple[ModuleType, str], ...] = (
    (sys, "excepthook"), (sys, "unraisablehook"), (sys, "displayhook"), (sys, "breakpointhook"), (threading, "excepthook")
)  # fmt: skip

_TRACERS: tuple[tuple[Callable[[Any], None], Callable[[], Any]], ...] = (
    (sys.settrace, sys.gettrace), (sys.setprofile, sys.getprofile),
    (threading.settrace, threading.gettrace), (threading.setprofile, threading.getprofile),
)  # fmt: skip


def settings() -> Mapping[str, Any]:
    """What can be put back: a value for the words that tell that it has changed."""
    return {
        **{f"the variable {name}": value for name, value in os.environ.items()},
        **{f"the handler of {_signal(number)}": signal.getsignal(number) for number in signal.valid_signals()},
        "the working folder": _folder(),
        "the search path of modules": tuple(sys.path),
        **{f"a function set with {setter.__module__}.{setter.__name__}": getter() for setter, getter in _TRACERS},
    }


def flags() -> Mapping[str, Any]:
    """More that can be put back: values that are told when they have changed."""
    return {
        "umask": f"{_umask():03o}",
        "limit of recursion": sys.getrecursionlimit(),
        "garbage collection": gc.isenabled(),
    }


def lasting() -> Mapping[str, Any]:
    """What cannot be put back, or what nobody has a reason to change: a value for the words that tell that it has changed."""
    return {
        **{f"sys.{name} replaced": _stream(getattr(sys, name)) for name in _STREAMS},
        **{f"{name} closed or redirected": _file_of(number) for number, name in enumerate(_DESCRIPTORS)},
        "a timer set": _timers(),
    }


def functions() -> members.Members:
    """What can be replaced of the suite and of the modules that it uses, without PyTorch."""
    own = members.of_the_suite()
    return members.members(members.with_classes([*members.used_by(own), *own]))


def limits() -> Mapping[str, float]:
    """The limits of the system for this process, by what they are called in `resource`; none where the system has none."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    soft = {name: resource.getrlimit(getattr(resource, name))[0] for name in names}
    return {name: float("inf") if value == resource.RLIM_INFINITY else value for name, value in soft.items()}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys of values that have changed, appeared or gone."""
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]


def lowered(before: Mapping[str, float]) -> list[str]:
    """The limits that are lower now."""
    after = limits()
    return [f"the limit {name} lowered" for name, value in before.items() if after[name] < value]


def in_short(changes: Sequence[str]) -> str:
    """The first of these changes, and how many more there are."""
    more = len(changes) - _MOST
    return ", ".join((*changes[:_MOST], f"{more} more") if more > 0 else changes)


def is_put_back(function: str) -> bool:
    """Whether `kept` puts this function back, by its full name."""
    return function in {f"{module.__name__}.{name}" for module, name in _HOOKS}


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Puts back at its end what code inside changes of this process and can be put back; sends to standard error what it prints."""
    variables, folder, mask = dict(os.environ), Path.cwd(), _umask()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    hooks = [(module, name, getattr(module, name)) for module, name in _HOOKS]
    recursion, collects = sys.getrecursionlimit(), gc.isenabled()
    tracers = [(setter, getter, getter()) for setter, getter in _TRACERS]
    try:
        with _printing_to_stderr():
            yield
    finally:
        for name in {*os.environ} - {*variables}:
            del os.environ[name]
        os.environ.update(variables)
        os.chdir(folder)
        os.umask(mask)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        for module, name, hook in hooks:
            setattr(module, name, hook)
        sys.setrecursionlimit(recursion)
        (gc.enable if collects else gc.disable)()
        for setter, getter, tracer in tracers:
            if getter() is not tracer:
                setter(tracer)


@contextlib.contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Inside, standard output is standard error, also for processes that are started."""
    _flush()
    try:
        saved = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed
        saved = None
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _signal(number: int) -> str:
    return number.name if isinstance(number, signal.Signals) else f"signal {number}"


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _stream(stream: Any) -> tuple[Any, ...]:
    """What makes a stream the same as before; its closing shows in its file."""
    own = {key: value for key, value in getattr(stream, "__dict__", {}).items() if callable(value)}
    return (stream, getattr(stream, "encoding", None), getattr(stream, "errors", None), own)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _timers() -> tuple[bool, ...]:
    if not hasattr(signal, "getitimer"):  # Windows
        return ()
    return tuple(
        signal.getitimer(which)[0] > 0 for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    )
