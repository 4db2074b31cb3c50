"""Clusters that do not answer, or have no worker: said, and never waited for in silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from bench.core.errors import BenchError
from bench.running.engines import clusters
from bench.running.engines.clusters import Pace, Standing, running
from bench.running.engines.dask import _within


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "no dask scheduler answers there"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 3, "is it a dask scheduler, of the same version?"),
    ],
)  # fmt: skip
def test_an_address_where_something_else_listens_is_refused_in_a_sentence(monkeypatch, tmp_path, answer, words):
    monkeypatch.setattr(clusters, "_ANSWER_SECONDS", 1.0)
    held = []

    def listen(server):
        with contextlib.suppress(OSError):
            while True:
                held.append(server.accept()[0])
                held[-1].sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        started = time.monotonic()
        with pytest.raises(BenchError) as error:
            running(f"tcp://127.0.0.1:{server.getsockname()[1]}")(stack, print, tmp_path)
        assert words in str(error.value)
        assert time.monotonic() - started < 10
        for each in held:
            each.close()


class Watched:
    """A standing cluster with a clock that tests set, and workers that they name; None for a scheduler that hangs."""

    def __init__(self):
        self.now, self.workers, self.told = 0.0, {}, []
        client = SimpleNamespace(
            scheduler=SimpleNamespace(address="tcp://h:1", identity=None), sync=lambda *args, **more: self.answer()
        )
        self.cluster = Standing(client, self.told.append, Pace(lambda: self.now))

    def answer(self):
        if self.workers is None:
            raise asyncio.TimeoutError
        return {"workers": self.workers}

    def wait(self, seconds, waiting=1, joined=()):
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self.cluster.look(waiting, joined)
        return len(self.told)


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        ({}, "tcp://h:1 has no worker; start one with `dask worker tcp://h:1 --nthreads 1`"),
        ({"a": {}}, "the workers of tcp://h:1 have not joined the run; their logs say why"),
        (None, "the scheduler at tcp://h:1 does not answer"),
    ],
)
def test_cells_that_wait_say_what_for_every_three_minutes(workers, words):
    watched = Watched()
    watched.workers = workers
    assert watched.wait(170) == 0
    assert watched.wait(20) == 1
    assert watched.wait(400) == 3
    assert watched.told == [f"cells wait: {words}; Ctrl-C stops"] * 3


def test_nothing_is_said_while_a_worker_is_there_or_nothing_waits():
    watched = Watched()
    assert watched.wait(1000, waiting=0) == 0
    watched.workers = {"a": {}}
    assert watched.wait(1000, joined={"a"}) == 0
    watched.workers = {}
    assert watched.wait(170) == 0  # silence is counted from when the worker went
    assert watched.wait(20) == 1


def test_a_worker_that_hangs_is_not_waited_for():
    done = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        _within(0.1, done.wait)
    assert time.monotonic() - started < 5
    done.set()
    with pytest.raises(ZeroDivisionError):
        _within(5.0, lambda: 1 / 0)
