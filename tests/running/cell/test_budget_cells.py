"""No cell takes more than its budget: every method, every storage codec, budgets around what fits."""

from __future__ import annotations

import dataclasses

import pytest

from bench import plugins
from bench.core.source import METHOD_FOLDERS
from bench.results.artefacts import load_set
from bench.running.cell.cell import run_cell
from bench.running.cell.costs import count_set
from bench.testing.rehearsal import Rehearsal

REGISTRY = plugins.load().methods
METHODS = [
    name
    for name, method in REGISTRY
    if REGISTRY.origin(name).where.partition(".")[0] in METHOD_FOLDERS and method.uses_ipc
]
STORAGES = ("float32", "float16", "uint8")
# Bytes: less than a clip a class of any learned method, of some, of none; and more than all clips take as float32.
BUDGETS = (700, 9_999, 21_000, 43_210, 300_000)


@pytest.mark.parametrize("name", METHODS)
def test_no_set_takes_a_byte_more_than_its_budget(plan, registries, reporter, context, name, tmp_path):
    cells = plan(
        name, dataset="tiny" if "frepo" in name else "tiny-nearest", budgets=BUDGETS, storages=STORAGES,
        overrides={name: Rehearsal(name, registries, tmp_path).small(steps=1)},
        settings=("dense", "keyframes-adaptive") if name in ("dm", "dc") else ("dense",),
    )  # fmt: skip
    finished = []
    for planned in cells:
        record = run_cell(planned, registries, context, reporter)
        if record.status == "skipped":
            assert "the budget is" in record.reason
            continue
        assert (record.status, record.reason) == ("ok", "")
        assert record.set.storage_bytes <= planned.stored_bytes <= record.cell.budget
        assert record.set.storage_bytes == sum(entry.bytes for entry in record.set.tensors.values())
        assert ("storage_loss" in record.data) == (record.cell.storage != "float32")
        stored, _ = load_set(context.out / "artefacts" / record.id, registries)
        assert count_set(stored, None).storage_bytes == record.set.storage_bytes
        finished.append(record)
    assert {record.cell.budget for record in finished} >= {300_000}


def test_a_method_that_stores_more_than_it_planned_fails_with_both_figures(plan, registries, reporter, context):
    (planned,) = plan("random", dataset="tiny-nearest", budgets=(30_000,))
    cell = dataclasses.replace(planned.cell, budget=planned.stored_bytes - 1)
    record = run_cell(dataclasses.replace(planned, cell=cell), registries, context, reporter)
    assert (record.status, record.reason) == ("failed", "the set takes 27,648 bytes; the budget is 27,647 bytes")


def test_smaller_numbers_make_more_clips_of_the_same_bytes(plan, registries, reporter, context):
    cells = plan("dm", dataset="tiny-nearest", budgets=(74_000,), storages=STORAGES, overrides={"dm": {"steps": 1}})
    records = [run_cell(planned, registries, context, reporter) for planned in cells]
    assert [record.cell.ipc for record in records] == [2, 4, 6]
    float16, uint8 = (record.data["storage_loss"] for record in records[1:])
    assert 0 < float16["rms"] < uint8["rms"] < 0.02
