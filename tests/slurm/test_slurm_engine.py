"""A grid through a real Slurm of one node, which ``tests/slurm/setup.sh`` starts: the records of the local engine."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.results.merge import differing, facts
from bench.results.records import RecordStore

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]


def jobs():
    """Jobs of Slurm, by id."""
    return subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True).stdout.split()


def test_a_grid_through_slurm_gives_the_records_of_the_local_engine(finished, bench_cli, tmp_path):
    pytest.importorskip("dask_jobqueue")
    if shutil.which("sbatch") is None:
        pytest.skip("no Slurm here: run tests/slurm/setup.sh as root")
    local, arguments, _ = finished
    file = tmp_path / "cluster.toml"
    file.write_text('partition = "test"\njobs = 2\nmemory = "2GB"\nwall_time = "00:20:00"\n')
    out = tmp_path / "out"
    outcome = bench_cli(*arguments, "--out", out, "--engine", "slurm", "--cluster", file, timeout=1500)
    assert outcome.code == 0, outcome.err
    assert "up to 2 Slurm jobs in partition test" in outcome.err
    expected = {record.id: record for record in RecordStore(local).all()}
    found = {record.id: record for record in RecordStore(out).all()}
    assert found.keys() == expected.keys()
    for name, record in found.items():
        assert differing(facts(record), facts(expected[name])) == []
    assert any((out / "logs").iterdir())
    assert jobs() == []  # nothing is left running
