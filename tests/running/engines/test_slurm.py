"""The Slurm engine where there is no Slurm, or one that refuses: said at once; the job's script is shown without one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("dask_jobqueue")

from bench.core.errors import BenchError
from bench.results.claims import me
from bench.running.engines import clusters, slurm_keys
from bench.running.engines.slurm import Slurm, cluster, job_script

TEXT = 'partition = "gpu"\ngpus = 2\ncpus = 6\nmemory = "32GB"\nwall_time = "04:00:00"\nsetup = ["module load cuda"]\n'


@pytest.fixture
def asked(tmp_path, tiny_plugin):
    (tmp_path / "c.toml").write_text(TEXT)
    return [
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise", "--engine", "slurm",
        "--cluster", tmp_path / "c.toml", "--out", tmp_path / "out",
    ]  # fmt: skip


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The only folder that commands are looked for in: empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_sbatch_a_run_says_so_at_once_and_a_dry_run_shows_the_script(asked, path, bench_main, tmp_path):
    started = time.monotonic()
    outcome = bench_main(*asked)
    assert (outcome.code, time.monotonic() - started < 20) == (2, True)
    assert outcome.err.startswith("error: --engine slurm: no 'sbatch' on this machine")
    shown = bench_main(*asked, "--dry-run")
    assert shown.code == 0, shown.err
    script = shown.out.partition("The script of each job:\n\n")[2].splitlines()
    assert script[0].startswith("#!")
    for line in ("#SBATCH -p gpu", "#SBATCH --gres=gpu:2", "#SBATCH --cpus-per-task=6", "#SBATCH -t 04:00:00"):
        assert line in script
    assert script.index("export OMP_NUM_THREADS=3") + 1 == script.index("module load cuda")
    assert "tls://lo:PORT" in script[-1]
    assert f"--tls-key {tmp_path / 'out' / 'logs' / '.keys' / 'worker_key.pem'}" in script[-1]
    assert not (tmp_path / "out").exists()


def test_a_job_that_slurm_does_not_take_ends_the_run_in_its_words(path, tmp_path):
    sbatch = path / "sbatch"
    sbatch.write_text(
        '#!/bin/sh\n[ "$1" = --test-only ] && echo "sbatch: error: invalid partition specified: gpu" >&2\nexit 1\n'
    )
    sbatch.chmod(0o755)
    with contextlib.ExitStack() as stack, pytest.raises(BenchError) as error:
        cluster(Slurm("gpu"), 3, 1)(stack, print, tmp_path / "logs")
    words = "--engine slurm: Slurm does not take the job: sbatch: error: invalid partition specified: gpu"
    assert str(error.value) == words
    assert list((tmp_path / "logs").iterdir()) == []  # the run's keys are gone


FAKE = """#!{python}
import os, pathlib, re, subprocess, sys
folder = pathlib.Path({folder!r})
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with (folder / "asked").open("a") as asked:
    print(name, *arguments, file=asked)
if name == "sbatch" and arguments[0] != "--test-only":
    number = len(list(folder.glob("job-*"))) + 1
    (folder / f"job-{{number}}").write_text("PENDING")
    script = pathlib.Path(arguments[0]).read_text()
    if {starts!r}:
        log = re.search(r"#SBATCH -e (\\S+)", script)[1].replace("%J", str(number))
        with open(log, "w") as file:
            subprocess.run(["/bin/sh", "-c", script], stdout=file, stderr=file)
        (folder / f"job-{{number}}").write_text("ENDED")
    print(f"Submitted batch job {{number}}")
elif name == "squeue":
    for path in folder.glob("job-*"):
        if path.read_text() == "PENDING":
            print(path.name[4:], "PENDING", "Resources", sep="|")
elif name == "scancel":
    for path in folder.glob("job-*"):
        path.write_text("ENDED")
"""


@pytest.fixture
def fake(tmp_path, path, monkeypatch):
    """A Slurm whose jobs start at once, or never; returns the folder of its jobs. Nothing is waited for long."""
    monkeypatch.setattr(clusters, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(clusters, "SAY_SECONDS", 3.0)

    def make(starts):
        folder = tmp_path / "slurm"
        folder.mkdir()
        for name in ("sbatch", "squeue", "scancel"):
            (path / name).write_text(FAKE.format(python=sys.executable, folder=str(folder), starts=starts))
            (path / name).chmod(0o755)
        return folder

    return make


def leftovers(out):
    return [entry.name for entry in (out / "logs").iterdir() if entry.name.startswith(".keys-")]


def test_jobs_that_end_before_their_worker_came_end_the_run(asked, fake, bench_main, tmp_path):
    folder = fake(starts=True)
    with (tmp_path / "c.toml").open("a") as file:
        file.write('python = "/no/python"\n')
    outcome = bench_main(*asked, "--plain")
    assert outcome.code == 2, outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: --engine slurm: 3 jobs in a row ended before their worker came; ")
    assert "-3.err ends: " in last
    assert "/no/python" in last
    assert sorted(entry.name for entry in folder.glob("job-*")) == ["job-1", "job-2", "job-3"]
    assert leftovers(tmp_path / "out") == []


def test_a_full_queue_is_waited_for_aloud_and_ctrl_c_takes_the_jobs_back(
    asked, fake, bench_main, tmp_path, monkeypatch
):
    folder = fake(starts=False)
    told = []

    def stop_when_told(self):
        due = told_again(self)
        told.append(due)
        if told.count(True) == 2:
            raise KeyboardInterrupt
        return due

    told_again = clusters.Pace.is_time_to_say
    monkeypatch.setattr(clusters.Pace, "is_time_to_say", stop_when_told)
    started = time.monotonic()
    outcome = bench_main(*asked, "--plain")
    assert outcome.code == 130, outcome.err
    assert "cluster: 1 job asked for, none has started (Resources): `squeue --me`; Ctrl-C stops" in outcome.err
    assert time.monotonic() - started < 30
    assert {entry.read_text() for entry in folder.glob("job-*")} == {"ENDED"}
    assert leftovers(tmp_path / "out") == []


def test_dask_jobqueue_does_not_take_ctrl_c_for_itself(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    try:
        job_script(Slurm("gpu"), 1, tmp_path)
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_a_dead_driver_left_goes_and_what_a_live_one_has_stays(fake, tmp_path):
    folder = fake(starts=False)
    dead = dataclasses.replace(me(), pid=os.getpid(), started=1)
    for name, owner in (("live", me()), ("dead", dead), ("elsewhere", dataclasses.replace(dead, machine="other"))):
        keys = slurm_keys.folder_of(tmp_path, f"bench-{name}")
        keys.mkdir()
        (keys / "owner.json").write_text(json.dumps(dataclasses.asdict(owner)))
    slurm_keys.sweep(tmp_path)
    left = sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".keys"))
    assert left == [".keys-bench-elsewhere", ".keys-bench-live"]
    assert (folder / "asked").read_text() == "scancel --name=bench-dead --state=PENDING\n"
