"""The Slurm engine where there is no Slurm, or one that refuses: said at once; the job's script is shown without one."""

from __future__ import annotations

import contextlib
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("dask_jobqueue")

from bench.core.errors import BenchError
from bench.running.engines.slurm import Slurm, cluster

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
    assert f"--tls-key {tmp_path / 'out' / 'logs' / '.keys' / 'worker_key'}" in script[-1]
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
