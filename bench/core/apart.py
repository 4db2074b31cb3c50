"""Calls in another process, with a deadline: what the called code does to its process, it does to that one.

The other process is a new Python that has loaded nothing of this one's. It answers one call after another and ends with this
process. Functions and values travel pickled, through pipes that nobody else has.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NoReturn, TypeVar, final

from bench.core import errors, lazy
from bench.core.errors import BenchError
from bench.core.leftovers import adopt_orphans, end_with_children
from bench.core.traces import Fault, fault, said

T = TypeVar("T")

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from bench.core.apart import serve; serve()"

_MOST_DEATHS = 3


class Faulty(Exception):
    """The called code failed: raised, hung or ended its process.

    Args:
        fault: what happened.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


@dataclass(frozen=True)
class _Reply:
    """What came of a call: a pickled value, a mistake of the user (a `BenchError` of that name), or a fault of the code."""

    how: Literal["value", "mistake", "fault"]
    value: bytes = b""
    mistake: tuple[str, str] = ("", "")
    fault: Fault | None = None


@final
class Apart:
    """Another process for calls.

    Args:
        modules: names of the modules whose lines are named where an error is told.
        seconds: how long a call may take.
    """

    def __init__(self, modules: tuple[str, ...], seconds: float) -> None:
        self._modules = modules
        self._seconds = seconds
        self._deaths = 0
        self._last: Fault | None = None
        self._child: _Child | None = _Child()

    def call(self, prepare: Callable[[], object], function: Callable[..., T], *args: Any) -> T:
        """What ``function(*args)`` returns there.

        Args:
            prepare: called there first, so that the rest can be unpickled.
            function, args: picklable, as are the results.

        Raises:
            BenchError: as the function raised it.
            Faulty: it raised something else, gave no answer in time, or ended the process.
        """
        if self._last is not None and (self._deaths >= _MOST_DEATHS or self._child is None):
            raise Faulty(self._last)
        if self._child is None or not self._child.lives():
            self._child = _Child()
        message = pickle.dumps((pickle.dumps(prepare), pickle.dumps((function, args)), self._modules))
        try:
            reply = self._child.ask(message, self._seconds)
        except TimeoutError:
            self._child, self._last = None, Fault(f"no answer within {self._seconds:g} s")
            raise Faulty(self._last) from None
        except EOFError as error:
            self._deaths += 1
            self._last = Fault(f"its process ended ({error})")
            raise Faulty(self._last) from None
        if reply.how == "mistake":
            raise getattr(errors, reply.mistake[0], BenchError)(reply.mistake[1])
        if reply.fault is not None:
            raise Faulty(reply.fault)
        try:
            value: T = pickle.loads(reply.value)  # noqa: S301 (from the process that this one has started)
        except Exception as error:
            raise Faulty(fault(error, self._modules)) from error
        return value


@final
class _Child:
    """The other process, seen from this one."""

    def __init__(self) -> None:
        path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=_listen, args=(self._process.stdout, self._replies), daemon=True).start()
        weakref.finalize(self, _end, self._process)

    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, message: bytes, seconds: float) -> _Reply:
        """Its reply.

        Raises:
            TimeoutError: there was none in time; the process is killed.
            EOFError: the process has ended, and how.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            _write(self._process.stdin, message)
        try:
            told = self._replies.get(timeout=seconds)
        except queue.Empty:
            _end(self._process)
            raise TimeoutError from None
        try:
            reply = None if told is None else pickle.loads(told)  # noqa: S301 (see above)
        except Exception:
            reply = None
        if isinstance(reply, _Reply):
            return reply
        _end(self._process, patience=1.0)
        code = self._process.returncode
        raise EOFError(signal.Signals(-code).name if code < 0 else f"exit code {code}")


def _end(process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    limit = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    end_with_children(process.pid)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def _write(stream: BinaryIO | Any, message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def _listen(stream: BinaryIO | Any, messages: queue.SimpleQueue[bytes | None]) -> None:
    """Hands on what comes, and None at the end."""
    with contextlib.suppress(OSError, ValueError):
        while header := stream.read(8):
            messages.put(stream.read(int.from_bytes(header, "big")))
    messages.put(None)


# ----------------------------------------------------------------------------------------------------------------------
# In the other process


def serve() -> NoReturn:
    """Answers calls until nobody is left to make them."""
    lazy.defer("torch")
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process, too; the one that asks ends it
    calls, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what plugins print
    messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def listen() -> None:
        with contextlib.suppress(OSError, ValueError):
            while header := calls.read(8):
                messages.put(calls.read(int.from_bytes(header, "big")))
        os._exit(0)  # also while a call hangs

    threading.Thread(target=listen, daemon=True).start()
    own = os.getpid()
    while True:
        message = messages.get()
        assert message is not None
        reply = pickle.dumps(_answer(message))
        if os.getpid() != own:  # a plugin has forked, and its child has come back from there
            os._exit(1)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        try:
            _write(replies, reply)
        except OSError:
            os._exit(1)


def _answer(message: bytes) -> _Reply:
    modules: tuple[str, ...] = ()
    try:
        prepare, call, modules = pickle.loads(message)  # noqa: S301 (from the process that started this one)
        pickle.loads(prepare)()  # noqa: S301
        function, args = pickle.loads(call)  # noqa: S301
        return _Reply("value", pickle.dumps(function(*args)))
    except BenchError as error:
        return _Reply("mistake", mistake=(type(error).__name__, said(error)))
    except Faulty as error:
        return _Reply("fault", fault=error.fault)
    except BaseException as error:
        return _Reply("fault", fault=fault(error, modules))
