"""SIGKILL at random moments, of drivers and workers, over a small grid: it ends as if nothing had happened.

``BENCH_KILLS`` sets how often (50): each of the two engines gets half of them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.results.claims import Claims
from bench.results.merge import differing, facts
from bench.results.records import RecordStore

KILLS = int(os.environ.get("BENCH_KILLS", "50")) // 2


class Grid:
    """One command, run as often as it takes."""

    def __init__(self, tiny_plugin, folder):
        hasty = folder / "hasty.py"  # a checkpoint each step
        every = "from bench.running.cell import checkpoints\ncheckpoints.CHECKPOINT_SECONDS = 0.0\n"
        hasty.write_text(f"{Path(tiny_plugin).read_text(encoding='utf-8')}\n{every}", encoding="utf-8")
        self.folder = folder
        self.command = [
            sys.executable, "-m", "bench", "run", "--plugin", hasty, "--datasets", "tiny", "--methods",
            "tiny-walk,herding,tiny-noise", "--seeds", "0,1,2", "--set", "tiny-walk.steps=20", "--attempts", "1000", "--jobs", "2",
        ]  # fmt: skip

    def start(self, out, *options):
        with (self.folder / "log.txt").open("a") as log:
            return subprocess.Popen(
                [*map(str, self.command), "--out", str(out), *options], cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "TINY_PAUSE": "0.05"}, start_new_session=True,
            )  # fmt: skip

    def log(self):
        return (self.folder / "log.txt").read_text()[-3000:]


def finished(out):
    """The bytes of all records that stand."""
    return {
        record.id: RecordStore(out).path(record.id).read_bytes()
        for record in RecordStore(out).all()
        if record.status == "ok"
    }


def family(driver):
    """The driver and the processes that work for it: workers, those that workers are forked from, and dask's."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(driver.pid)
        return [process, *(child for child in process.children(recursive=True) if is_worker(child))]
    return []


def is_worker(process):
    try:
        line = " ".join(process.cmdline())
        return "spawn_main" in line or "forkserver" in line
    except psutil.Error:
        return False


def is_at_work(out):
    """Whether a cell is being run; those whose processes were killed leave their claims."""
    return any(claim.owner.lives() for claim in Claims(out).all())


def check(out, expected, kept):
    """The folder holds what an unbroken run gives, and what was finished before a kill was not touched again."""
    store = RecordStore(out)
    found = {record.id: record for record in store.all(lambda path, reason: pytest.fail(f"{path}: {reason}"))}
    unbroken = {record.id: record for record in RecordStore(expected).all()}
    assert found.keys() == unbroken.keys()
    for name, record in found.items():
        assert record.status == "ok", record.reason
        assert differing(facts(record), facts(unbroken[name])) == []
        sets = [folder / "artefacts" / name / "memory.safetensors" for folder in (out, expected)]
        assert sets[0].read_bytes() == sets[1].read_bytes()
    for name, data in kept.items():
        assert store.path(name).read_bytes() == data
    assert list(Claims(out).all()) == []
    assert len(list((out / "artefacts").iterdir())) == len(found)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_grid_that_is_killed_at_random_moments_ends_like_an_unbroken_one(engine, tiny_plugin, tmp_path, monkeypatch):
    if engine == "dask" and importlib.util.find_spec("distributed") is None:
        pytest.skip("needs distributed")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))  # upstream artefacts are made under fire, too
    grid = Grid(tiny_plugin, tmp_path)
    expected = tmp_path / "unbroken"
    assert grid.start(expected, "--engine", "local").wait() == 0, grid.log()
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache-under-fire"))
    rng = random.Random(engine)
    kills, rounds, victims = 0, 0, []
    while kills < KILLS:
        rounds += 1
        out, kept = tmp_path / f"round-{rounds}", {}
        driver = grid.start(out, "--engine", engine)
        while True:
            # Half of the moments are in the start of a driver, half in its work.
            began = time.monotonic()
            if kills < KILLS and rng.random() < 0.5:
                wait_until(lambda driver=driver, out=out: driver.poll() is not None or is_at_work(out))
            end = time.monotonic() + rng.uniform(0.0, 3.0)
            wait_until(lambda driver=driver, end=end: driver.poll() is not None or time.monotonic() > end)
            if driver.poll() is None and kills < KILLS:
                alive = family(driver)
                kept |= finished(out)
                if not alive:
                    continue
                victim = alive[0] if rng.random() < 0.4 or len(alive) == 1 else rng.choice(alive[1:])
                with contextlib.suppress(psutil.Error):
                    victim.send_signal(signal.SIGKILL)
                    kills += 1
                    victims.append("driver" if victim.pid == driver.pid else "worker")
                    print(f"{engine}: kill {kills}, {victims[-1]}, after {time.monotonic() - began:.1f} s")
                if victim.pid == driver.pid:
                    driver.wait()
                    _, left = psutil.wait_procs(alive, timeout=60)
                    assert left == []
            elif driver.poll() is None:
                driver.wait()
            if driver.poll() == 0:
                break
            if driver.poll() is not None:
                assert driver.returncode == -signal.SIGKILL, grid.log()
                driver = grid.start(out, "--engine", engine)
        check(out, expected, kept)
    print(f"{engine}: {kills} kills ({victims.count('driver')} of drivers) over {rounds} rounds")


def wait_until(condition):
    while not condition():
        time.sleep(0.02)
