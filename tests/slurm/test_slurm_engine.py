"""A grid through a real Slurm of one node, which ``tests/slurm/setup.sh`` starts: the records of the local engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bench.results.merge import differing, facts
from bench.results.records import RecordStore

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]


def jobs():
    """Jobs of Slurm, by id."""
    return subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def file(tmp_path):
    """The file of ``--cluster``."""
    pytest.importorskip("dask_jobqueue")
    if shutil.which("sbatch") is None:
        pytest.skip("no Slurm here: run tests/slurm/setup.sh as root")
    file = tmp_path / "cluster.toml"
    file.write_text('partition = "test"\njobs = 2\nmemory = "2GB"\nwall_time = "00:20:00"\n')
    return file


def test_a_grid_through_slurm_gives_the_records_of_the_local_engine(finished, bench_cli, tmp_path, file):
    local, arguments, _ = finished
    out = tmp_path / "out"
    outcome = bench_cli(*arguments, "--out", out, "--engine", "slurm", "--cluster", file, timeout=1500)
    assert outcome.code == 0, outcome.err
    assert "up to 2 Slurm jobs in partition test" in outcome.err
    expected = {record.id: record for record in RecordStore(local).all()}
    found = {record.id: record for record in RecordStore(out).all()}
    assert found.keys() == expected.keys()
    for name, record in found.items():
        assert differing(facts(record), facts(expected[name])) == []
        assert record.changed == ()  # the folder of the plugin is found because the suite says so, not the cell
    assert "Traceback" not in outcome.err
    assert any((out / "logs").iterdir())
    assert jobs() == []  # nothing is left running


def test_jobs_that_cannot_start_a_worker_end_the_run(finished, bench_cli, tmp_path, file):
    with file.open("a") as more:
        more.write('python = "/no/python"\n')
    outcome = bench_cli(*finished[1], "--out", tmp_path / "out", "--engine", "slurm", "--cluster", file, timeout=300)
    assert outcome.code == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: --engine slurm: 3 jobs in a row ended before their worker came; ")
    assert last.endswith("/no/python: No such file or directory")
    assert jobs() == []


@pytest.mark.parametrize(
    ("signals", "code"), [((signal.SIGINT,), 130), ((signal.SIGTERM,), 143), ((signal.SIGINT, signal.SIGINT), 130)]
)
def test_a_run_that_is_stopped_takes_its_jobs_along(tmp_path, tiny_plugin, file, interruptible, signals, code):
    out, log = tmp_path / "out", tmp_path / "log"
    command = [
        sys.executable, "-m", "bench", "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-walk",
        "--set", "tiny-walk.steps=3000", "--seeds", "0,1", "--plain", "--engine", "slurm", "--cluster", file, "--out", out,
    ]  # fmt: skip
    with log.open("w") as stream:
        driver = subprocess.Popen(
            command,
            cwd=tmp_path,
            stderr=stream,
            stdout=stream,
            env={**os.environ, "TINY_PAUSE": "0.2"},
            start_new_session=True,
        )
    limit = time.monotonic() + 240
    while "started" not in log.read_text() and driver.poll() is None and time.monotonic() < limit:
        time.sleep(0.3)
    for number in signals:
        os.killpg(driver.pid, number)
        time.sleep(1.0)
    assert driver.wait(60) == code, log.read_text()
    assert "Traceback" not in log.read_text()
    assert {record.status for record in RecordStore(out).all()} == {"interrupted"}
    assert list((out / "logs").glob(".keys-*")) == []
    assert jobs() == []
