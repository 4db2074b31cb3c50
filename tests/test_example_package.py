"""An out-of-tree package with a method, a dataset and a network: installed by pip, listed, run, and named in records."""

from __future__ import annotations

import importlib
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import bench
from bench import plugins
from bench.core import source
from bench.results.records import RecordStore
from bench.testing import conformance

SOURCE = Path(__file__).parent / "example_package"


@pytest.fixture
def importable(monkeypatch):
    """The package on the path, not installed."""
    monkeypatch.syspath_prepend(SOURCE)
    yield
    own = ("distill_example", f"{plugins.PLUGIN_FILE_PREFIX}mean_clip")
    for name in [name for name in sys.modules if name.startswith(own)]:  # or workers of later tests would look for them
        del sys.modules[name]


def test_its_method_keeps_the_contract(importable, tmp_path):
    checks = [check for check in conformance.CHECKS if check.name not in ("workers", "accuracy")]
    file = SOURCE / "distill_example" / "mean_clip.py"
    with conformance.rehearse(file) as rehearsal:
        found = list(conformance.results(rehearsal, checks))
    assert [result for result in found if result.status == "failed"] == []


def test_the_source_of_a_method_follows_its_own_package(importable, monkeypatch):
    method = importlib.import_module("distill_example.mean_clip")
    before = source.source_digest(method)
    network = source.source_digest(importlib.import_module("distill_example.pooled"))
    monkeypatch.setattr(importlib.import_module("distill_example._draw"), "__file__", bench.__file__)
    assert source.source_digest(method) != before
    assert source.source_digest(importlib.import_module("distill_example.pooled")) == network


@pytest.mark.slow
def test_installed_in_a_fresh_environment_it_is_found_runs_and_is_named(tmp_path):
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (packages,) = home.glob("lib/python*/site-packages")
    # What the suite needs is taken from here; the package itself is installed there and nowhere else.
    (packages / "suite.pth").write_text("\n".join([str(Path(bench.__file__).parent.parent), *site.getsitepackages()]))
    shutil.copytree(SOURCE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))

    def run(*words):
        done = subprocess.run(
            [python, "-m", *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": ""},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q", tmp_path / "source")
    lists = {kind: run("bench", "list", kind) for kind in ("methods", "datasets", "networks")}
    for kind, name in (("methods", "mean-clip"), ("datasets", "bars"), ("networks", "pooled")):
        (line,) = [line for line in lists[kind].splitlines() if line.startswith(f"{name} ")]
        assert line.endswith("distill-example 1.2.3")
    out = tmp_path / "out"
    table = run(
        "bench", "run", "--methods", "mean-clip,random", "--datasets", "bars[train=6,test=4]", "--jobs", "2", "--out", out,
        "--set", "mean-clip.over=3",
    )  # fmt: skip
    assert "bars · IPC 1 · dense · quick · quick/1" in table
    records = {record.cell.method: record for record in RecordStore(out).all()}
    assert {name: record.status for name, record in records.items()} == {"mean-clip": "ok", "random": "ok"}
    made = records["mean-clip"]
    assert made.provenance["method"] == made.provenance["dataset"] == "distill-example 1.2.3"
    assert records["random"].provenance["method"] == "baselines.random"
    assert made.provenance["network"] == "bench.nets.described.convnets"
    judged = run("bench", "evaluate", out / "artefacts" / made.id, "--network", "pooled")
    assert "network pooled, 12 test clips" in judged
    assert "distill-example" not in subprocess.run(
        [sys.executable, "-m", "bench", "list"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout  # fmt: skip
