"""Calls in another process: what the called code does there, it does to that process alone."""

from __future__ import annotations

import gc
import operator
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bench.core.apart import Apart, Faulty
from bench.core.config import build
from bench.core.errors import BenchError
from bench.core.storage import check_storages


@pytest.fixture
def apart():
    return Apart((), 20.0)


def call(process, function, *args):
    return process.call(dict, function, *args)


def test_values_and_mistakes_come_back_and_prints_and_global_state_do_not(capfd, apart):
    assert call(apart, operator.truediv, 1, 8) == 0.125
    there = call(apart, os.getpid)
    assert there != os.getpid()
    call(apart, print, "a plugin prints")
    call(apart, os.putenv, "CHANGED", "there")
    with pytest.raises(BenchError, match="is no storage codec"):
        call(apart, check_storages, ["float3"])
    assert call(apart, os.getpid) == there
    assert capfd.readouterr().out == ""
    assert "CHANGED" not in os.environ


@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        (operator.truediv, (1, 0), "ZeroDivisionError: division by zero"),
        (sys.exit, (3,), "SystemExit: 3"),
        (build, (int, {}, ""), "TypeError: "),
        (os._exit, (0,), "its process ended (exit code 0)"),
        (signal.raise_signal, (signal.SIGKILL,), "its process ended (SIGKILL)"),
        (os.closerange, (3, 100), "its process ended (exit code "),
    ],
)
def test_whatever_else_happens_is_a_fault_and_the_next_call_is_answered(apart, function, args, reason):
    with pytest.raises(Faulty) as caught:
        call(apart, function, *args)
    assert caught.value.fault.reason.startswith(reason)
    assert call(apart, operator.add, 1, 2) == 3


def test_a_call_that_hangs_is_ended_and_nothing_is_asked_again():
    hasty = Apart((), 3.0)
    there = call(hasty, os.getpid)
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(Faulty, match=r"no answer within 3 s"):
            call(hasty, time.sleep, 1000)
    assert time.monotonic() - start < 1.0
    assert not psutil.pid_exists(there)


def test_a_process_that_keeps_ending_is_not_started_for_ever(apart):
    for _ in range(3):
        with pytest.raises(Faulty):
            call(apart, os._exit, 1)
    with pytest.raises(Faulty, match="its process ended"):
        call(apart, operator.add, 1, 2)


def test_nothing_outlives_the_one_who_asks():
    apart = Apart((), 20.0)
    there = call(apart, os.getpid)
    call(apart, subprocess.Popen, ["sleep", "1000"]) if sys.platform == "win32" else call(
        apart, os.system, "sleep 1000 &"
    )
    below = psutil.Process(there).children(recursive=True)
    del apart
    gc.collect()
    _, alive = psutil.wait_procs([process for process in below if process.is_running()], timeout=10)
    assert not psutil.pid_exists(there)
    assert alive == []
