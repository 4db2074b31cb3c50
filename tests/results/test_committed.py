"""The tables in ``results/`` are the ones that the committed records give, whatever else lies there after a run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def committed():
    """The files of ``results/`` that are under version control; all of them where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "results"], check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path.relative_to(ROOT) for path in (ROOT / "results").rglob("*") if path.is_file()]
    return [Path(name) for name in listed.split("\0") if name]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committed")
    for path in committed():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    return folder / "results"


def test_the_tables_are_what_the_records_say(bench_main, results):
    outcome = bench_main("table", "--check", "--out", results)
    assert (outcome.code, outcome.err) == (0, ""), outcome.out


def test_every_record_is_of_this_schema_and_readable(results):
    from bench.results.records import RecordStore

    bad = []
    ids = {record.id for record in RecordStore(results).all(lambda path, reason: bad.append((path, reason)))}
    assert bad == []
    assert ids == {path.stem for path in (results / "cells").glob("*.json")}
