"""In a worker process: one cell in, events out. Nothing that the cell leaves behind outlives it."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch

from bench import plugins
from bench.api import ClipIndex
from bench.core.errors import BenchError
from bench.core.leftovers import adopt_orphans, end_children
from bench.core.signals import Stopped, disregard
from bench.results.claims import Claim, ClaimLost, Claims
from bench.running.cell import surroundings
from bench.running.engines.engine import Order, Run
from bench.running.engines.events import CellHeld
from bench.running.engines.gpus import own_device
from bench.running.engines.one_cell import run_claimed


@dataclasses.dataclass(frozen=True)
class Fault:
    """What a worker process says before it dies of an error that is none of the cell's."""

    message: str


@dataclasses.dataclass(frozen=True)
class Ready:
    """What a worker process says first: it has come as far as to take a cell.

    Attributes:
        server: the process that it was forked from, or its parent.
    """

    server: int


def serve(pipe: Connection, run: Run, threads: int | None, share: int, variables: Mapping[str, str]) -> None:
    """All that the process does.

    Args:
        pipe: brings the cell, as the modules that it needs, its order and the index of its dataset, and takes events.
        run: see there.
        threads: of torch; None leaves that to it.
        share: cells at a time, which share these threads.
        variables: the environment of the parent: a process that is forked from a server has that of the server's start.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(variables)
    own = os.getpid()

    def tell(event: object) -> None:
        if os.getpid() != own:  # a plugin has forked, and its child has come back from there
            os._exit(1)
        try:
            pipe.send(event)
        except (OSError, ValueError):  # nobody listens any more; the cell is not to take this for its own error
            _end(1)

    try:
        adopt_orphans()
        _listen_to_interrupts()
        os.dup2(2, 1)  # what a plugin prints is not to stand between the tables
        tell(Ready(os.getppid()))
        os.chdir(run.folder)
        _run(pipe, run, threads, share, tell)
    except (EOFError, Stopped, BrokenPipeError):
        pass
    except BaseException as error:  # of the cell itself `run_cell` makes a record
        text = " ".join(str(error).split())
        with contextlib.suppress(OSError):
            pipe.send(Fault(text if isinstance(error, BenchError) else f"{type(error).__name__}: {text}"))
    _end(0)


def _run(pipe: Connection, run: Run, threads: int | None, share: int, tell: Callable[[object], None]) -> None:
    """Runs the cell, or tells who works on it already."""
    modules: tuple[str, ...] = pipe.recv()
    if threads is not None or share > 1:
        torch.set_num_threads(max(1, (threads or torch.get_num_threads()) // share))
    for file in run.plugin_files:
        plugins.find_helpers(Path(file))  # the suite does this, not the cell
    before = surroundings.look(surroundings.members_at_start())
    registries = plugins.load(run.plugin_files, only=modules)
    order: Order = pipe.recv()
    index: ClipIndex = pipe.recv()
    order = dataclasses.replace(order, planned=dataclasses.replace(order.planned, index=index))
    with own_device(run.context.device, run.per_gpu) as device:
        here = dataclasses.replace(run, context=dataclasses.replace(run.context, device=device))
        try:
            holder: Claim | None = run_claimed(order, registries, here, tell, before)
            if holder is None:
                return
        except ClaimLost:
            holder = Claims(run.context.out).holder(order.id())
    tell(CellHeld(order.id(), holder))


def _end(code: int) -> NoReturn:
    """Ends this process and all below it, whatever threads it has left."""
    disregard(signal.SIGINT, signal.SIGTERM)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(Exception):
        end_children()
    os._exit(code)


def _listen_to_interrupts() -> None:
    """From now on the first Ctrl-C ends the work; further ones do not disturb what is then written. So does SIGTERM, which
    whoever stops a job sends to all of its processes."""

    told = False

    def first(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            raise Stopped

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, first)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _die_with_parent() -> None:
    """Ends this process when the driver is gone, so that a killed run leaves nobody working on its cells."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
