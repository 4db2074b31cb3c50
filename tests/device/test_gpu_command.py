"""``benchmarks/gpu.py`` runs to its end where there is no GPU, without the packages that it can do without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
WITHOUT = ("av", "pytorchvideo", "scipy", "rich", "tabulate", "pytest", "pandas", "distributed", "PIL")


@pytest.mark.slow
def test_it_writes_every_part_and_prints_a_table(tmp_path):
    to = tmp_path / "gpu.json"
    hidden = f"import runpy, sys; sys.modules.update(dict.fromkeys({WITHOUT})); sys.argv[:] = sys.argv[1:]; "
    hidden += "runpy.run_path(sys.argv[0], run_name='__main__')"
    arguments = [str(COMMAND), "--device", "cpu", "--quick", "--to", str(to)]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *arguments], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(to.read_text())
    assert list(report) == ["machine", "checks", "steps", "dm at the published scale"]
    assert report["checks"]["failed"] == {}
    assert report["checks"]["left out"] == {
        "set video-file": "needs av",
        "set keyframes, cubic": "needs scipy.interpolate",
    }
    assert len(report["checks"]["passed"]) > 10
    assert all(step["plain seconds"] > 0 and step["seconds"] > 0 for step in report["steps"].values())
    assert report["dm at the published scale"]["steps"] == 2
    assert "| dm, quick | " in done.stdout
