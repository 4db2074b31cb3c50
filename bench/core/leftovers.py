"""Processes that a plugin has started and left behind: found and ended, whatever their parents were."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# `prctl` of Linux: orphans below this process become its own children.
_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on processes below this one whose parent ends become its children, where the system can do that (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def running_children() -> dict[int, str]:
    """The children of this process that have not ended, by number, with their names. Not the one that Python itself keeps."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there is none; to look through all processes takes longer
            return {}
    import psutil

    tracker = getattr(getattr(multiprocessing, "resource_tracker", None), "_resource_tracker", None)
    found = {}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.pid != getattr(tracker, "_pid", None) and child.status() != psutil.STATUS_ZOMBIE:
                found[child.pid] = child.name()
    return found


def end_children() -> None:
    """Kills all processes below this one."""
    if hasattr(os, "waitpid"):
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there is none; to look through all processes takes longer
            return
    import psutil

    _kill(psutil.Process().children(recursive=True))


def end_with_children(pid: int) -> None:
    """Kills a process and all below it."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        _kill([*process.children(recursive=True), process])


def end_orphans(server: int) -> None:
    """Kills what dead worker processes have left behind.

    Args:
        server: the child of this process that its workers are forked from, which has adopted the orphans.
    """
    import psutil

    known = {process.pid for process in multiprocessing.active_children()}
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(server)
        if (
            process.ppid() != os.getpid()
        ):  # it has ended; whoever has its number, or its children, has nothing to do with this
            return
        for orphan in process.children():
            if orphan.pid not in known:
                _kill([*orphan.children(recursive=True), orphan])


def _kill(processes: list[psutil.Process]) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
