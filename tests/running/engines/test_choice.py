"""``run --engine`` and what belongs to it: what is refused, in a sentence, before anything runs."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed")

from bench.core.errors import BenchError
from bench.running.engines.slurm import Slurm, read


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--scheduler tcp://127.0.0.1:8786", "--scheduler: it is for --engine dask, not local"),
        ("--engine dask --scheduler 127.0.0.1", "'127.0.0.1' is no address (valid: tcp://HOST:PORT, tls://HOST:PORT)"),
        ("--engine dask --scheduler tcp://a:1 --jobs 2", "--jobs: the cluster of --scheduler has as many workers as it has"),
        ("--engine slurm", "--engine slurm and --cluster FILE.toml go together"),
        ("--engine dask --cluster a.toml", "--engine slurm and --cluster FILE.toml go together"),
        ("--engine slurm --cluster no.toml", "--cluster no.toml: cannot read it (No such file or directory)"),
        ("--engine slurm --cluster no.toml --jobs 2", "write it as 'jobs' into the file of --cluster"),
        ("--engine ray", "argument --engine: invalid choice: 'ray'"),
        ("--timeout 0", "argument --timeout: '0' is not a number of minutes above 0"),
        ("--per-gpu 0", "argument --per-gpu: '0' is not a whole number of at least 1"),
        ("--attempts none", "argument --attempts: 'none' is not a whole number"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(bench_main, tmp_path, options, words):
    outcome = bench_main("run", "--out", tmp_path / "out", *options.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_without_dask_the_remedy_is_told(bench_main, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'video-distillation-bench[cluster]'" in bench_main("run", "--engine", "dask").err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition = ", "not TOML"),
        ("jobs = 1", "'partition' is missing"),
        ('partition = "a"\nqueue = "b"', "no field queue (valid: account, address, cpus"),
        ('partition = "a"\ngpus = "2"', "gpus = '2' is not a whole number of at least 0"),
        ('partition = "a"\njobs = 0', "jobs = 0 is not a whole number of at least 1"),
        ('partition = "a"\njobs = true', "jobs = True is not a whole number"),
        ("partition = 1", "partition = 1 is not text in quotes"),
        ('partition = "a"\nsetup = "module load"', "setup = 'module load' is not a list of texts"),
        ('partition = "a"\nwall_time = "4 hours"', "wall_time '4 hours' is not HH:MM:SS"),
        ('partition = "a"\nmemory = "much"', "memory 'much' is no size such as 32GB"),
    ],
)
def test_a_cluster_file_that_is_not_valid_is_refused(tmp_path, text, words):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(BenchError) as error:
        read(path)
    assert words in str(error.value)


def test_a_cluster_file_is_read(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text('partition = "gpu"\ngpus = 2\nwall_time = "1-00:00:00"\nmemory = "1.5 TB"\nsetup = ["a", "b"]\n')
    assert read(path) == Slurm("gpu", gpus=2, wall_time="1-00:00:00", memory="1.5 TB", setup=("a", "b"))
