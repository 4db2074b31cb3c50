"""``python -m bench compare``: folders and records, its exit codes, and what it refuses."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from bench.results.records import RecordStore


@pytest.fixture
def other(finished, tmp_path):
    """A copy of the records of the finished run."""
    shutil.copytree(finished[0] / "cells", tmp_path / "other" / "cells")
    return tmp_path / "other"


def test_a_folder_agrees_with_its_copy(bench_main, finished, other):
    outcome = bench_main("compare", finished[0], other)
    assert (outcome.code, outcome.err) == (0, "")
    assert "4 cells in both: 4 equal" in outcome.out


def test_a_cell_that_ended_otherwise_is_exit_code_1_and_two_records_will_do(bench_main, finished, other):
    store = RecordStore(other)
    record = next(store.all())
    store.write(dataclasses.replace(record, status="failed", reason="no luck", evaluations=()))
    for arguments in ((finished[0], other), (RecordStore(finished[0]).path(record.id), store.path(record.id))):
        outcome = bench_main("compare", *arguments)
        assert outcome.code == 1
        assert "ended otherwise" in outcome.out


def test_a_damaged_record_is_named_and_the_others_compared(bench_main, finished, other):
    path = next((other / "cells").iterdir())
    path.write_text(path.read_text()[:-9])
    outcome = bench_main("compare", finished[0], other)
    assert outcome.code == 0
    assert outcome.err.startswith(f"warning: record left out: {path.name}: ")
    assert "3 cells in both" in outcome.out
    assert "1 cell only in the first folder" in outcome.out
    refused = bench_main("compare", path, path)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert f"{path}: cannot be read as a record" in refused.err


def test_what_has_nothing_in_common_is_refused(bench_main, finished, other):
    one, another, *_ = sorted((other / "cells").iterdir())
    outcome = bench_main("compare", one, another)
    assert outcome.code == 2
    assert outcome.err.endswith("have no cell in common: only cells with the same id can be compared\n")
    outcome = bench_main("compare", other, other / "nowhere")
    assert outcome.err == (
        f"error: {other / 'nowhere'}: neither a folder of results, which has 'cells', nor the file of a record\n"
    )
