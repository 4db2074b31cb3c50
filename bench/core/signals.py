"""Signals that no longer mean anything to a process."""

from __future__ import annotations

import signal
from types import FrameType


def disregard(*numbers: int) -> None:
    """From now on these signals do nothing.

    Unlike ``SIG_IGN``, which Python answers with a printed traceback if one of them has come a moment before.
    """
    for number in numbers:
        signal.signal(number, _nothing)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Python's handler of such a signal."""
