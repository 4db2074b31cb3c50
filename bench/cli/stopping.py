"""A command that is told to end (SIGTERM, or SIGHUP of a closed terminal) ends like one that is interrupted by Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import final

_NAMES = ("SIGTERM", "SIGHUP")


@final
class Stop:
    """Which signal has ended a command.

    Attributes:
        number: of the last one; that of Ctrl-C if there was no other.
    """

    def __init__(self) -> None:
        self.number = int(signal.SIGINT)

    def exit_code(self) -> int:
        """As shells count it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[Stop]:
    """Inside, these signals raise KeyboardInterrupt, but for those that somebody ignores (``nohup``) or handles."""
    stop = Stop()

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop.number = number
        raise KeyboardInterrupt

    before = {}
    for name in _NAMES:
        with contextlib.suppress(AttributeError, ValueError):  # Windows has no SIGHUP; only the main thread may
            number = getattr(signal, name)
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, interrupt)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
