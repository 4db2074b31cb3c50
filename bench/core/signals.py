"""Signals that end the work of a process, and signals that no longer mean anything to it."""

from __future__ import annotations

import signal
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A signal has come that ends the work. A plain KeyboardInterrupt may be raised by the code of a plugin, too."""


def was_stopped(error: BaseException) -> bool:
    """Whether a signal led to this error, maybe through code that has caught a `Stopped` and raised another."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, Stopped):
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            pending += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return False


def disregard(*numbers: int) -> None:
    """From now on these signals do nothing.

    Unlike ``SIG_IGN``, which Python answers with a printed traceback if one of them has come a moment before.
    """
    for number in numbers:
        signal.signal(number, _nothing)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Python's handler of such a signal."""
