"""Standard output and error as they are: terminals that cannot write every sign, readers that go away, disks that are full."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, final

from typing_extensions import override

PLAIN_SIGNS = "bench.plain_signs"
"""The name of the encoding error handler that writes signs as ASCII."""

_ASCII = {
    "±": "+/-",
    "†": "+",
    "‡": "++",
    "×": "x",
    "·": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "▼": "v",
}

PIPE_CLOSED = 141
"""The exit code of a command whose reader went away: 128 + SIGPIPE, as of any other Unix tool."""


class OutputLost(Exception):
    """Standard output cannot be written, and the command has nothing else to do."""


@final
class Guard(io.RawIOBase):
    """A raw stream that remembers the first error of writing.

    Attributes:
        error: that error, or None.
        carries_on: whether what is written after it is dropped, in place of `OutputLost`.
    """

    def __init__(self, inner: io.RawIOBase, carries_on: bool) -> None:
        self._inner = inner
        self.carries_on = carries_on
        self.error: OSError | None = None

    @override
    def write(self, data: Any) -> int | None:
        if self.error is None:
            try:
                return self._inner.write(data)
            except OSError as error:
                self.error = error
        if not self.carries_on:
            raise OutputLost
        return len(data)

    @override
    def writable(self) -> bool:
        return True

    @override
    def fileno(self) -> int:
        return self._inner.fileno()

    @override
    def isatty(self) -> bool:
        return self._inner.isatty()


def carry_on() -> None:
    """From now on the command goes on if standard output can no longer be written: it has more to do than to print."""
    if (guard := _guard_of(sys.stdout)) is not None:
        guard.carries_on = True


def with_guarded_output(main: Callable[[], int]) -> int:
    """Runs a command line whose output may be lost.

    Returns:
        Its exit code; 2 if its output could not be written, or `PIPE_CLOSED` if nobody reads it any more.
    """
    closed = _open_closed_descriptors()
    if 1 in closed:
        print("error: standard output is closed; open it, or send it to a file or to /dev/null", file=sys.stderr)
        return 2
    _use_guards()
    try:
        code = main()
    except SystemExit as end:  # of the parser
        code = end.code if isinstance(end.code, int) else 2
    except OutputLost:
        code = 2
    return _after_last_flush(code)


def _open_closed_descriptors() -> set[int]:
    """Opens the null device in the place of closed standard streams: else the next file would become one.

    Returns:
        Those that were closed.
    """
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    return closed


def _use_guards() -> None:
    """Replaces the standard streams by guarded ones, which write what they can. What is not written by Python is left alone."""
    codecs.register_error(PLAIN_SIGNS, _plain)
    sys.stdout = _guarded(sys.stdout, carries_on=False)
    sys.stderr = _guarded(sys.stderr, carries_on=True)


def _guarded(stream: TextIO, carries_on: bool) -> TextIO:
    is_plain = isinstance(stream, io.TextIOWrapper) and isinstance(
        getattr(stream.buffer, "raw", stream.buffer), io.FileIO
    )
    if not isinstance(stream, io.TextIOWrapper) or not is_plain:  # Windows' console, which takes every sign
        return stream
    own = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(Guard(own, carries_on)), stream.encoding, PLAIN_SIGNS,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip


def _guard_of(stream: TextIO) -> Guard | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Guard) else None


def _after_last_flush(code: int) -> int:
    """The exit code, once all that is still to be written has been."""
    guard = _guard_of(sys.stdout)
    if guard is None:
        return code
    with contextlib.suppress(OutputLost):
        sys.stdout.flush()
    is_the_product, guard.carries_on = not guard.carries_on, True  # the interpreter flushes once more
    if guard.error is None:
        return code
    if guard.error.errno == errno.EPIPE:
        return PIPE_CLOSED if is_the_product else code
    print(f"error: standard output cannot be written ({guard.error.strerror})", file=sys.stderr)
    return 2


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The signs that a terminal cannot write, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(sign: str) -> str:
    return _ASCII.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii")
