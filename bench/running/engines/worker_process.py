"""In a worker process: cells in, events out, until the parent has no more or is gone."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from types import FrameType

import torch

from bench import plugins
from bench.api import ClipIndex
from bench.core.errors import BenchError
from bench.plugins import Registries
from bench.results.claims import Claim, ClaimLost, Claims
from bench.running.engines.engine import Order, Run
from bench.running.engines.events import CellHeld
from bench.running.engines.gpus import own_device
from bench.running.engines.one_cell import run_claimed

# A worker process that is given nothing for so long ends: its driver may be gone.
IDLE_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class Fault:
    """What a worker process says before it dies of an error that is none of the cell's."""

    message: str


@dataclasses.dataclass(frozen=True)
class Ready:
    """What a worker process says first: it has come as far as to take cells."""


def serve(pipe: Connection, run: Run, threads: int | None, variables: Mapping[str, str]) -> None:
    """All that the process does.

    Args:
        pipe: brings cells, each as its order and the index of its dataset, and takes events.
        run: see there.
        threads: of torch; None leaves that to it.
        variables: the environment of the parent: a process that is forked from a server has that of the server's start.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(variables)

    def tell(event: object) -> None:
        try:
            pipe.send(event)
        except OSError:  # nobody listens any more; the cell is not to take this for its own error
            os._exit(1)

    try:
        _listen_to_interrupts()
        tell(Ready())
        if threads is not None:
            torch.set_num_threads(threads)
        os.chdir(run.folder)
        registries = plugins.load(run.plugin_files)
        with own_device(run.context.device, run.per_gpu) as device:
            here = dataclasses.replace(run, context=dataclasses.replace(run.context, device=device))
            while pipe.poll(IDLE_SECONDS):
                _run_next(pipe, registries, here, tell)
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except (Exception, SystemExit) as error:  # of the cell itself `run_cell` makes a record
        text = " ".join(str(error).split())
        with contextlib.suppress(OSError):
            pipe.send(Fault(text if isinstance(error, BenchError) else f"{type(error).__name__}: {text}"))


def _run_next(pipe: Connection, registries: Registries, run: Run, tell: Callable[[object], None]) -> None:
    """Runs the next cell, or tells who works on it already."""
    order: Order = pipe.recv()
    index: ClipIndex = pipe.recv()
    order = dataclasses.replace(order, planned=dataclasses.replace(order.planned, index=index))
    try:
        holder: Claim | None = run_claimed(order, registries, run, tell)
        if holder is None:
            return
    except ClaimLost:
        holder = Claims(run.context.out).holder(order.id())
    tell(CellHeld(order.id(), holder))


def _listen_to_interrupts() -> None:
    """From now on the first Ctrl-C ends the work; further ones do not disturb what is then written. So does SIGTERM, which
    whoever stops a job sends to all of its processes."""

    def first(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

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
