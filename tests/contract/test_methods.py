"""What every registered method must hold to, whoever wrote it: the conformance suite, and what only the suite's own promise."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

import bench.running.cell.checkpoints
from bench import plugins
from bench.core.reporter import Reporter
from bench.core.source import METHOD_FOLDERS
from bench.running.cell.cell import run_cell
from bench.running.cell.journal import Journal
from bench.testing import conformance
from bench.testing.rehearsal import IPC, Rehearsal, content, same

REGISTRIES = plugins.load()
METHODS = [
    name
    for name in REGISTRIES.methods.names()
    if REGISTRIES.methods.origin(name).where.partition(".")[0] in METHOD_FOLDERS
]
LEARNED = [
    name
    for name in METHODS
    if "steps" in {field.name for field in dataclasses.fields(REGISTRIES.methods.get(name).Config)}
]
STEPS = 4
SLOW = ("workers", "accuracy")
CHECKS = [pytest.param(c, marks=pytest.mark.slow if c.name in SLOW else (), id=c.name) for c in conformance.CHECKS]


@pytest.fixture(scope="module")
def rehearse(tmp_path_factory):
    """The rehearsal of a method, kept over the tests of this file."""
    kept = {}

    def rehearse(name):
        if name not in kept:
            kept[name] = Rehearsal(name, REGISTRIES, tmp_path_factory.mktemp("rehearsal"))
        return kept[name]

    return rehearse


def test_there_are_methods_of_each_kind():
    assert {"random", "herding", "kcenter", "full", "dm"} <= set(METHODS)
    assert "dm" in LEARNED


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_keeps_the_contract(rehearse, name, check):
    check(rehearse(name))


# ----------------------------------------------------------------------------------------------------------------------
# Bytes, through a whole cell


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dataset", ["tiny", "tiny[views=2]"])
def test_the_bytes_planned_recorded_and_on_disk_are_the_same(
    plan, registries, reporter, context, rehearse, name, dataset
):
    (planned,) = plan(name, dataset=dataset, ipcs=(IPC,), overrides={name: rehearse(name).small(steps=1)})
    record = run_cell(planned, registries, context, reporter)
    assert (record.status, record.reason) == ("ok", "")
    if not REGISTRIES.methods.get(name).fills_budget:  # what a codec takes is not known before
        assert record.set.storage_bytes == planned.stored_bytes
    assert record.set.storage_bytes == sum(entry.bytes for entry in record.set.tensors.values())
    folder = context.out / "artefacts" / planned.cell.id()
    assert (record.set.artefact is None) == (not folder.exists())
    if record.set.artefact is not None:
        assert on_disk(folder / "memory.safetensors") == record.set.storage_bytes


def on_disk(path):
    """Tensor bytes of a safetensors file without integer labels, by its header alone."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    sizes = {
        name: entry["data_offsets"][1] - entry["data_offsets"][0]
        for name, entry in header.items()
        if name != "__metadata__" and not (name == "labels" and entry["dtype"] == "I64")
    }
    assert max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__") == len(data) - (
        8 + length
    )
    return sum(sizes.values())


# ----------------------------------------------------------------------------------------------------------------------
# Learning, and going on


@pytest.mark.parametrize("name", LEARNED)
def test_all_that_is_stored_is_learned_but_the_static_memory(rehearse, name):
    rehearsal = rehearse(name)
    start = rehearsal.unlearned().distill(rehearsal.task()).stored()
    end = rehearsal.plain.stored()
    assert start.keys() == end.keys()
    unchanged = {key for key in start if torch.equal(start[key], end[key])}
    assert unchanged <= {"static"}  # learned in stage one, then frozen


@pytest.mark.parametrize("name", LEARNED)
def test_every_step_has_a_finite_loss_in_the_history(rehearse, name):
    seen = []
    task = rehearse(name).task(reporter=Reporter(lambda *step: seen.append(step), lambda _: None))
    rehearse(name).method().distill(task)
    assert [step for phase, step, total, _ in seen if phase == "distil" and total == STEPS] == [1, 2, 3, 4]
    assert all(np.isfinite(loss) for phase, _, _, loss in seen if phase == "distil")
    assert task.journal.history["step"] == [1.0, 2.0, 3.0, 4.0]


class Stop(Exception):
    """The power went out."""


@pytest.mark.parametrize("name", LEARNED)
def test_a_killed_run_ends_with_the_history_of_an_unbroken_one(rehearse, name, monkeypatch, tmp_path):
    """The process dies between a report and its checkpoint; the conformance suite stops it after the checkpoint."""
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    rehearsal = rehearse(name)
    unbroken = rehearsal.task()
    rehearsal.method().distill(unbroken)

    def step(phase, done, *_):
        if phase == "distil" and done == 3:
            raise Stop

    path = tmp_path / "state.safetensors"
    with pytest.raises(Stop):
        rehearsal.method().distill(rehearsal.task(reporter=Reporter(step, lambda _: None), path=path))
    resumed = rehearsal.task(path=path)
    assert resumed.resume()[0] == 2
    assert same(content(rehearsal.method().distill(resumed)), content(rehearsal.plain))
    assert resumed.journal.history == unbroken.journal.history


@pytest.mark.parametrize("name", METHODS)
def test_the_checkpoint_of_another_cell_is_not_taken(rehearse, name, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    rehearsal, path = rehearse(name), tmp_path / "state.safetensors"
    rehearsal.method().distill(rehearsal.task(seed=1, path=path))
    task = rehearsal.task(path=path)
    assert task.resume() is None
    assert task.journal == Journal()
    assert same(content(rehearsal.method().distill(task)), content(rehearsal.plain))
