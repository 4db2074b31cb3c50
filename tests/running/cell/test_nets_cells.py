"""Cells that judge one set with several networks: it is distilled once, whichever comes first; old cells keep their ids."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from bench.core.reporter import Reporter
from bench.core.sealed import unseal
from bench.core.signals import Stopped
from bench.data.pixels import SplitClips
from bench.judging.evaluate import evaluate_set
from bench.nets.builder import Builder
from bench.results.artefacts import load_set
from bench.results.records import Record, RecordStore, from_json
from bench.running.cell.cell import run_cell
from bench.running.cell.real_clips import open_store
from bench.running.plan import tuning

RESULTS = Path(__file__).parents[3] / "results"
NETS = ("convnet3d-small", "cnn-gru")


class Stop(Stopped):
    """The power went out."""


@pytest.fixture
def cells(plan):
    """The cells of a method under its own network and under cnn-gru."""
    return plan("tiny-walk", nets=NETS)


@pytest.fixture
def run(registries, context):
    """Runs a cell, writes its record as an engine does; gives it and the phases that it went through."""

    def run(planned, where=context):
        phases: set[str] = set()
        record = run_cell(planned, registries, where, Reporter(lambda phase, *_: phases.add(phase), lambda _: None))
        RecordStore(where.out).write(record)
        return record, phases

    return run


# ----------------------------------------------------------------------------------------------------------------------
# Identity and plan


def test_the_records_of_before_keep_their_ids():
    files = sorted((RESULTS / "cells").glob("*.json"))
    assert len(files) >= 130
    for path in files:
        record = from_json(path.read_text(encoding="utf-8"), history=False)
        assert record.id == path.stem
        assert from_json(record.to_json()).id == path.stem


def test_the_network_of_the_profile_gives_the_cells_that_there_are_without_nets(plan):
    own, other = plan("tiny-walk", nets=NETS)
    (alone,) = plan("tiny-walk")
    assert own.cell == alone.cell
    assert own.cell.evaluation_network is None
    assert (other.cell.network, other.cell.evaluation_network) == NETS
    assert other.cell.distillation() == own.cell
    assert other.cell.title() == own.cell.title() + " · by cnn-gru"
    assert [entry.cell for entry in plan("tiny-walk", nets=NETS[:1] * 2)] == [alone.cell]


def test_distilling_is_planned_once(plan):
    own, other = plan("tiny-walk", nets=NETS)
    (alone,), (first,) = plan("tiny-walk"), plan("tiny-walk", nets=NETS[1:])
    assert first.clip_passes - other.clip_passes == 6  # the steps of tiny-walk
    assert own.clip_passes == alone.clip_passes
    assert other.flops > own.flops  # a network with fifty times the operations


def test_a_network_that_cannot_take_the_clips_is_a_skipped_cell_with_the_reason(plan, run):
    (planned,) = plan("tiny-walk", nets=("mvit",))
    record, phases = run(planned)
    assert (record.status, phases) == ("skipped", set())
    assert record.reason == "network 'mvit' needs clips of at least 2 frames of 32x32, not 4 of 16x16"


# ----------------------------------------------------------------------------------------------------------------------
# One distillation


def test_a_set_is_judged_by_another_network_without_being_distilled_again(cells, run, context, registries, reporter):
    own, phases = run(cells[0])
    assert "distil" in phases
    other, phases = run(cells[1])
    assert phases == {"evaluate", "probe"}
    assert (other.status, other.set) == ("ok", own.set)
    assert other.set.artefact == own.id != other.id
    assert other.history == own.history
    assert other.costs["distil"] == dataclasses.replace(own.costs["distil"], shared=True)
    synthetic, _ = load_set(context.out / "artefacts" / own.id, registries)
    store = open_store(cells[0], context, reporter)
    network, protocol = registries.networks.get("cnn-gru")(), registries.protocols.get("tiny")()
    test, shape = SplitClips(store, "test", torch.device("cpu")), cells[0].geometry.shape()
    again = evaluate_set(
        synthetic, test, store.classes, shape, network, protocol, Builder(torch.device("cpu"), "float32"), reporter
    )
    assert [entry.confusion for entry in again] == [entry.confusion for entry in other.evaluations]
    assert [entry.loss for entry in again] != [entry.loss for entry in own.evaluations]


def test_whichever_cell_comes_first_distils_and_the_records_are_the_same(cells, run, context):
    expected = [run(planned, dataclasses.replace(context, out=context.out / "a"))[0] for planned in cells]
    there = dataclasses.replace(context, out=context.out / "b")
    other, phases = run(cells[1], there)
    assert "distil" in phases
    assert not other.costs["distil"].shared
    own, phases = run(cells[0], there)
    assert "distil" not in phases
    assert own.costs["distil"].shared
    for found, wanted in ((own, expected[0]), (other, expected[1])):
        assert (found.evaluations, found.set, found.history) == (wanted.evaluations, wanted.set, wanted.history)
    assert [path.name for path in (there.out / "artefacts").iterdir()] == [own.id]
    assert list((there.out / "checkpoints").iterdir()) == []


def test_all_again_distils_again_where_the_set_is_named_after_the_cell(cells, run, context):
    anew = dataclasses.replace(context, anew=True)
    assert all("distil" in run(cells[0], anew)[1] for _ in range(2))
    assert "distil" not in run(cells[1], anew)[1]


@pytest.mark.parametrize(("kept", "distils"), [("record", False), ("neither", True)])
def test_a_set_of_before_there_were_accounts_needs_its_record(cells, run, context, kept, distils):
    own, _ = run(cells[0])
    manifest = context.out / "artefacts" / own.id / "manifest.json"
    body = json.loads(manifest.read_text())
    del body["distilled"], body["cell"]["evaluation_network"], body["sha256"], body["tensors_sha256"]
    manifest.write_text(json.dumps(body))
    if kept == "neither":
        RecordStore(context.out).path(own.id).unlink()
    other, phases = run(cells[1])
    assert ("distil" in phases) == distils
    assert other.history == own.history
    assert other.costs["distil"].shared != distils


@pytest.mark.parametrize("what", ["other clips", "another cell", "damaged"])
def test_a_set_that_is_not_the_one_is_distilled_again(cells, run, context, what):
    own, _ = run(cells[0])
    manifest = context.out / "artefacts" / own.id / "manifest.json"
    body = unseal(json.loads(manifest.read_text()))
    if what == "other clips":
        body["dataset"]["digest"] = "0" * 64
    elif what == "another cell":
        body["cell"]["seed"] = 5
    manifest.write_text("{" if what == "damaged" else json.dumps(body))
    other, phases = run(cells[1])
    assert other.status == "ok"
    assert "distil" in phases


def test_a_distillation_that_was_cut_short_is_gone_on_with_by_the_other_cell(
    cells, run, context, registries, monkeypatch
):
    expected, _ = run(cells[0], dataclasses.replace(context, out=context.out / "unbroken"))
    monkeypatch.setattr("bench.running.cell.checkpoints.CHECKPOINT_SECONDS", 0.0)

    def stop(phase, step, total, loss):
        if (phase, step) == ("distil", 4):
            raise Stop

    with pytest.raises(Stop):
        run_cell(cells[1], registries, context, Reporter(stop, lambda _: None))
    lines: list[str] = []
    own = run_cell(cells[0], registries, context, Reporter(lambda *_: None, lines.append))
    assert lines == ["resumed after step 3"]
    assert (own.evaluations, own.history) == (expected.evaluations, expected.history)
    assert list((context.out / "checkpoints").iterdir()) == []


def test_sets_that_are_not_stored_are_made_anew_for_each_network(plan, run):
    own, other = (run(planned)[0] for planned in plan("full", nets=NETS))
    assert (own.status, other.status) == ("ok", "ok")
    assert other.set == own.set
    assert other.evaluations != own.evaluations


# ----------------------------------------------------------------------------------------------------------------------
# Tuning


def test_values_are_chosen_once_by_the_network_that_distils(plan, registries):
    cells = plan("tiny-step", dataset="tiny-nearest", nets=(*NETS, "mvit"), seeds=(0, 1))
    (search,) = tuning.searches(cells, registries, 0)
    assert [entry.cell.evaluation_network for entry in search.cells] == [None, None, "cnn-gru", "cnn-gru"]
    trial = search.trial(1.0, registries)
    assert trial.cell.evaluation_network is None
    assert trial.cell.judged_on == "validation"
    reverse = tuning.searches(list(reversed(cells)), registries, 0)[0]
    assert reverse.trial(1.0, registries).cell == trial.cell
    state = tuning.State(search, 1, (tuning.Trial(10.0, {}, trial, Record(trial.cell, "ok"), ""),), (), 0)
    tuned = state.tuned_cells(registries)
    assert {entry.cell.evaluation_network for entry in tuned.values()} == {None, "cnn-gru"}
    assert len({entry.cell.distillation().id() for entry in tuned.values()}) == 2  # a set for each seed
