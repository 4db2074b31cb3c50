from __future__ import annotations

import os
import signal
import sys

import pytest

from bench.core.signals import Stopped, disregard, was_stopped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these signals are POSIX's")


def test_a_signal_that_came_a_moment_before_it_is_disregarded_prints_nothing(monkeypatch):
    numbers = (signal.SIGUSR1, signal.SIGUSR2)  # Python hears the lower number first
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGUSR1, lambda number, frame: disregard(*numbers))
        signal.signal(signal.SIGUSR2, lambda number, frame: pytest.fail("heard"))
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # now both have come, and none is heard yet
        os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert printed == []


def handled(error, then):
    """The second error, as if it was raised where the first was handled."""
    then.__context__ = error
    return then


def test_a_stop_is_known_by_the_signal_behind_it_whatever_code_made_of_it():
    assert was_stopped(Stopped())
    assert was_stopped(handled(Stopped(), RuntimeError("training failed")))
    assert was_stopped(handled(handled(Stopped(), ValueError()), KeyboardInterrupt()))
    group = RuntimeError("many")
    group.exceptions = (ValueError(), Stopped())
    assert was_stopped(group)
    assert not was_stopped(KeyboardInterrupt())
    assert not was_stopped(handled(KeyboardInterrupt(), RuntimeError()))
