"""One cell from plan to record: whatever happens, the record says it."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
import torch

import bench.running.cell.checkpoints
from bench.api import Recipe
from bench.core.frame_order import shuffled_order
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.core.signals import Stopped
from bench.data.pixels import normalise
from bench.judging import training
from bench.judging.motion import measure
from bench.results.artefacts import load_set
from bench.results.records import from_json
from bench.running.cell import real_clips
from bench.running.cell.cell import run_cell
from bench.sets.dense import DenseSet


@pytest.fixture
def run(plan, registries, context, reporter):
    """Plans one cell and runs it."""

    def run(name, *, where=context, tell=reporter, **request):
        (planned,) = plan(name, **request)
        return run_cell(planned, registries, where, tell)

    return run


def test_a_finished_cell_has_everything_in_its_record(run, plan, context):
    record = run("tiny-walk", ipcs=(2,))
    assert (record.status, record.reason) == ("ok", "")
    assert record.cell == plan("tiny-walk", ipcs=(2,))[0].cell
    assert (record.set.kind, record.set.clips, record.set.storage_bytes) == ("dense", 6, 6 * 3 * 4 * 16 * 16 * 4)
    assert record.set.artefact == record.id
    assert [entry.network for entry in record.evaluations] == [0, 1]
    for entry in record.evaluations:
        assert [sum(row) for row in entry.confusion] == [2, 2, 2]
        assert (entry.top5, entry.updates) == (None, 6)
        assert 0 <= entry.train_accuracy <= 1
        assert entry.fitted == (entry.train_accuracy >= 0.5)
        assert set(entry.probes) == {"shuffled", "reversed", "frozen", "half-rate"}
        assert 0 <= entry.frozen_trained <= 6
    assert set(record.costs) == {"distil", "evaluate", "probe"}
    assert all(cost.wall_seconds > 0 and cost.peak_host_bytes > 10**7 for cost in record.costs.values())
    assert record.history["step"] == [1, 2, 3, 4, 5, 6]
    assert len(record.history["loss"]) == 6
    assert (record.data["classes"], record.data["train"], record.data["test"]) == (3, 15, 6)
    assert record.data["notes"] == ["a note"]
    assert record.provenance["method"].endswith("tiny_plugin.py")
    assert record.provenance["planned_flops"] == plan("tiny-walk", ipcs=(2,))[0].flops
    assert not (context.out / "checkpoints" / record.id).exists()
    assert from_json(record.to_json()) == record


def test_probes_are_counts_of_the_same_networks_and_gain_of_networks_trained_on_a_still_set(
    run, plan, registries, context, reporter, monkeypatch
):
    """Every count anew: the networks trained by hand, the test clips altered by hand."""
    protocol = registries.protocols.get("tiny")
    monkeypatch.setattr(protocol, "recipe", Recipe(epochs=40, batch=12, lr=0.05))
    (planned,) = plan("random", dataset="tiny[test=30]", ipcs=(4,))
    store = real_clips.open_store(planned, context, reporter)
    # A class is a sequence of four pictures; each test clip takes each picture from a random class, so that what is seen
    # in it depends on the frames that are shown.
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 4, 16, 16, 3), np.uint8)
    takes = np.where(
        np.isin(np.arange(len(store.refs)), store.positions("test"))[:, None],
        rng.integers(3, size=(105, 4)),
        store.labels[:, None],
    )
    store = dataclasses.replace(store, clips=pictures[takes, np.arange(4)][:, None])
    monkeypatch.setattr(real_clips, "open_store", lambda *_: store)
    record = run("random", dataset="tiny[test=30]", ipcs=(4,))
    test = torch.from_numpy(store.clips[store.positions("test"), 0].copy()).permute(0, 4, 1, 2, 3)
    truth = torch.from_numpy(store.labels[store.positions("test")])
    synthetic, _ = load_set(context.out / "artefacts" / record.id, registries)
    still = DenseSet(normalise(synthetic.clips)[:, :, [2, 2, 2, 2]].contiguous(), synthetic.labels)

    def trained(data, number):
        network = registries.networks.get("convnet3d-small")().build(
            3, planned.geometry.shape(), generator("evaluation", "network", number)
        )
        order, rendering = generator("evaluation", "order", number), generator("evaluation", "render", number)
        training.train(network, data, protocol.recipe, torch.device("cpu"), order, rendering, lambda *_: None)
        return network

    def correct(network, frames):
        with torch.no_grad():
            return int((network(normalise(test[:, :, frames])).argmax(dim=1) == truth).sum())

    for entry in record.evaluations:
        network = trained(synthetic, entry.network)
        assert entry.correct() == correct(network, [0, 1, 2, 3])
        assert entry.probes == {
            "shuffled": correct(network, shuffled_order(4, generator("evaluation", "shuffle", entry.network))),
            "reversed": correct(network, [3, 2, 1, 0]),
            "frozen": correct(network, [2, 2, 2, 2]),
            "half-rate": correct(network, [0, 0, 2, 2]),
        }
        frozen = trained(still, entry.network)
        assert entry.frozen_trained == correct(frozen, [0, 1, 2, 3])
        assert entry.frozen_both == correct(frozen, [2, 2, 2, 2])
        counts = [*entry.probes.values(), entry.correct(), entry.frozen_trained]
        assert len(set(counts)) > 3  # else equal counts would prove nothing
    assert any(entry.frozen_trained != entry.frozen_both for entry in record.evaluations)
    assert record.motion == measure(synthetic, store, "train")
    assert min(record.motion.set) > 0 < min(record.motion.real)


def test_a_protocol_may_leave_the_second_training_out(run, registries, monkeypatch):
    expected = run("tiny-noise")
    monkeypatch.setattr(registries.protocols.get("tiny"), "frozen_training", False)
    seen = []
    record = run("tiny-noise", tell=Reporter(lambda phase, *_: seen.append(phase), lambda _: None))
    assert "probe" not in seen
    assert [(entry.frozen_trained, entry.frozen_both) for entry in record.evaluations] == [(None, None)] * 2
    assert record.evaluations == tuple(
        dataclasses.replace(entry, frozen_trained=None, frozen_both=None) for entry in expected.evaluations
    )
    assert record.motion == expected.motion


def test_the_archived_set_is_the_one_that_was_judged(run, context, registries):
    record = run("tiny-walk")
    synthetic, manifest = load_set(context.out / "artefacts" / record.id, registries)
    assert synthetic.labels.tolist() == [0, 1, 2]
    assert manifest["cell"] == dataclasses.asdict(record.cell)
    assert manifest["classes"] == ["amber", "blue", "coral"]
    assert manifest["clip"] == [3, 4, 16, 16]
    assert manifest["dataset"]["name"] == "tiny"
    assert manifest["dataset"]["digest"] == record.data["digest"]


def test_sets_are_kept_only_if_wanted(run, context):
    record = run("tiny-noise", where=dataclasses.replace(context, keep_sets=False))
    assert record.status == "ok"
    assert record.set.artefact is None
    assert not (context.out / "artefacts").exists()


def test_the_full_data_are_trained_frozen_only_if_that_is_wanted(run, context):
    record = run("full")
    assert all(entry.probes for entry in record.evaluations)
    assert [entry.frozen_trained for entry in record.evaluations] == [None, None]
    assert record.motion is not None
    wanted = run("full", where=dataclasses.replace(context, gain_of_full=True))
    assert all(entry.frozen_trained is not None and entry.frozen_both is not None for entry in wanted.evaluations)
    assert [entry.confusion for entry in wanted.evaluations] == [entry.confusion for entry in record.evaluations]


def test_a_network_trained_for_a_coreset_is_charged_once_and_shared(run):
    first, second = run("herding"), run("kcenter")
    assert not first.costs["upstream"].shared
    assert first.costs["upstream"].wall_seconds > 0
    assert first.costs["distil"].wall_seconds < first.costs["upstream"].wall_seconds + 1
    assert second.costs["upstream"] == dataclasses.replace(first.costs["upstream"], shared=True)


def test_judging_on_the_validation_part_leaves_the_test_split_alone(run, plan, context, reporter, monkeypatch):
    (planned,) = plan("full", dataset="tiny[train=10]")
    store = real_clips.open_store(planned, context, reporter)
    poisoned = store.clips.copy()
    poisoned[store.positions("test")] = 0
    results = []
    for content in (store.clips, poisoned):
        monkeypatch.setattr(
            real_clips, "open_store", lambda *_, content=content: dataclasses.replace(store, clips=content)
        )
        results.append(run("full", dataset="tiny[train=10]", judged_on="validation"))
    assert results[0].status == "ok"
    assert results[0].evaluations == results[1].evaluations
    fit, validation = len(store.positions("fit")), len(store.positions("validation"))
    assert fit + validation == len(store.positions("train")) == 33
    assert (results[0].data["train"], results[0].data["test"]) == (fit, validation)
    assert results[0].set.clips == fit
    assert results[0].evaluations[0].tested() == validation


def test_clips_that_do_not_decode_are_told_in_the_record(run):
    record = run("full", dataset="tiny[unreadable=2]")
    assert record.status == "ok"
    assert record.data["left_out"] == [["train/amber/0", "broken on purpose"], ["train/amber/1", "broken on purpose"]]
    assert record.data["train"] == record.set.clips == 13


def test_a_declined_cell_is_skipped_with_the_reason_and_no_data(run, context):
    record = run("tiny-noise", settings=("static",))
    assert (record.status, record.reason) == ("skipped", "tiny-noise stores whole clips only")
    assert (record.set, record.evaluations, record.costs) == (None, (), {})
    assert not context.cache.exists()


def test_a_record_says_which_values_are_borrowed(plan, registries, context, reporter):
    (plain,) = plan("random")
    told = "lr=30 was published for miniucf at IPC 1; for tiny at IPC 1 nothing was"
    record = run_cell(dataclasses.replace(plain, borrowed=told), registries, context, reporter)
    assert record.data["borrowed"] == told
    assert from_json(record.to_json()).data["borrowed"] == told
    assert "borrowed" not in run_cell(plain, registries, context, reporter).data


# ----------------------------------------------------------------------------------------------------------------------
# What goes wrong


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("value", "failed", "ValueError: two lines (tiny_plugin.py:"),
        ("bench", "failed", "no such thing"),
        ("exit", "failed", "SystemExit"),
        ("memory", "oom", "out of memory"),
        ("torch", "oom", "CUDA out of memory"),
        ("allocator", "oom", "not enough memory: you tried to allocate 1 bytes"),
        ("nothing", "failed", "NoneType"),
        ("empty", "failed", "the method returned an empty set"),
        ("shape", "failed", "render() gives (1, 3, 3, 16, 16) torch.float32; needed is (1, 3, 4, 16, 16) float32"),
        ("dtype", "failed", "render() gives (1, 3, 4, 16, 16) torch.float64"),
        ("many", "failed", "the set has 6 clips; the budget is 1 a class, 3 in all"),
        ("label", "failed", "labels must lie in 0..2; they reach from 1 to 3"),
        ("label-dtype", "failed", "labels must be int64 of shape (N,)"),
        (
            "label-counts",
            "failed",
            "labels must be int64 of shape (N,), or float (N, classes); they are torch.int64 (3, 3)",
        ),
        ("label-name", "failed", "tensors() has a 'labels', the name under which a set's own are stored"),
        ("columns", "failed", "soft labels have 2 columns for 3 classes"),
        ("nan", "failed", "'clips' holds numbers that are not finite"),
        ("nan-label", "failed", "'labels' holds numbers that are not finite"),
    ],
)
def test_what_a_method_does_wrong_is_a_status_and_a_sentence(run, context, how, status, words):
    record = run("tiny-broken", overrides={"tiny-broken": {"how": how}})
    assert record.status == status
    assert words in record.reason
    assert "\n" not in record.reason
    assert (record.evaluations, record.motion) == ((), None)
    assert not (context.out / "artefacts").exists()
    assert not (context.out / "checkpoints" / record.id).exists()
    assert from_json(record.to_json()) == record


def test_data_that_are_not_usable_fail_the_cell_in_a_sentence(run):
    record = run("tiny-noise", dataset="tiny[unreadable=4]")
    assert record.status == "failed"
    assert record.reason.startswith("tiny: no training clip of class amber can be used")


def test_a_network_that_does_not_fit_the_clips_fails_the_cell(run, plan, registries, context, reporter):
    (planned,) = plan("tiny-noise")
    large = dataclasses.replace(planned, cell=dataclasses.replace(planned.cell, network="convnet3d"))
    record = run_cell(large, registries, context, reporter)
    assert record.status == "failed"
    assert "network 'convnet3d' needs clips of at least 8 frames of 64x64" in record.reason


# ----------------------------------------------------------------------------------------------------------------------
# Time limit, interruption, going on


def test_a_deadline_stops_a_cell_at_its_checkpoint_and_it_ends_like_an_unbroken_one(run, context, monkeypatch):
    expected = run("tiny-walk", where=dataclasses.replace(context, out=context.out.with_name("unbroken")))
    monkeypatch.setenv("TINY_PAUSE", "0.05")
    late = run("tiny-walk", tell=Reporter(lambda *_: None, lambda _: None, deadline=time.monotonic() + 0.02))
    assert (late.status, late.reason) == ("timeout", "the run's time limit passed")
    assert late.costs["distil"].wall_seconds > 0.05
    assert 1 <= len(late.history["step"]) < 6
    lines = []
    record = run("tiny-walk", tell=Reporter(lambda *_: None, lines.append))
    assert lines == [f"resumed after step {len(late.history['step'])}"]
    assert record.status == "ok"
    assert record.evaluations == expected.evaluations
    assert record.history == expected.history
    assert record.costs["distil"].wall_seconds > 6 * 0.05


class Stop(Stopped):
    """The power went out."""


@pytest.mark.parametrize(("at", "first"), [(1, 1), (6, 1), (7, 7), (12, 7)])
def test_a_cell_cut_short_in_its_probing_evaluates_nothing_again(run, context, at, first):
    expected = run("tiny-walk", where=dataclasses.replace(context, out=context.out.with_name("unbroken")))

    def stop(phase, step, total, loss):
        if (phase, step) == ("probe", at):
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    seen = []
    record = run("tiny-walk", tell=Reporter(lambda phase, step, *_: seen.append((phase, step)), lambda _: None))
    assert {phase for phase, _ in seen} == {"probe"}
    assert seen[0][1] == first
    assert record.evaluations == expected.evaluations
    assert record.motion == expected.motion
    assert record.costs["evaluate"].wall_seconds > 0
    assert record.costs["probe"].wall_seconds > 0


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_cell_cut_short_in_its_evaluation_distils_nothing_again(run, context, monkeypatch, at):
    expected = run("tiny-walk", where=dataclasses.replace(context, out=context.out.with_name("unbroken")))

    def stop(phase, step, total, loss):
        if phase == "evaluate" and step == {1: 1, 2: 6, 3: 7}[at]:
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    seen = []
    record = run("tiny-walk", tell=Reporter(lambda phase, step, *_: seen.append((phase, step)), lambda _: None))
    assert "distil" not in {phase for phase, _ in seen}
    assert min(step for phase, step in seen if phase == "evaluate") == (7 if at == 3 else 1)
    assert record.status == "ok"
    assert record.evaluations == expected.evaluations
    assert record.history == expected.history
    assert record.set == expected.set
    assert record.costs["distil"].wall_seconds > 0


def test_a_damaged_checkpoint_is_started_over(run, context, monkeypatch):
    expected = run("tiny-walk", where=dataclasses.replace(context, out=context.out.with_name("unbroken")))
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)

    def stop(phase, step, total, loss):
        if phase == "distil" and step == 4:
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    (state,) = (context.out / "checkpoints").rglob("distil.safetensors")
    state.write_bytes(state.read_bytes()[:-8])
    lines = []
    record = run("tiny-walk", tell=Reporter(lambda *_: None, lines.append))
    assert lines == [f"{state} is damaged, now distil.safetensors.damaged; what it held is done again"]
    assert record.evaluations == expected.evaluations
    assert record.history == expected.history


@pytest.mark.parametrize("file", ["memory.safetensors", "manifest.json"])
def test_a_set_that_was_damaged_before_its_evaluation_is_distilled_again(run, context, file):
    def stop(phase, step, total, loss):
        if phase == "evaluate":
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    (path,) = (context.out / "artefacts").rglob(file)
    path.write_bytes(path.read_bytes()[:20])
    record = run("tiny-walk")
    assert (record.status, record.reason) == ("ok", "")


def test_damaged_partial_evaluations_are_done_again(run, context):
    def stop(phase, step, total, loss):
        if phase == "evaluate" and step == 7:
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    (kept,) = (context.out / "checkpoints").rglob("evaluations.json")
    assert len(json.loads(kept.read_text())["evaluations"]) == 1
    kept.write_text(kept.read_text()[:-5])
    record = run("tiny-walk")
    assert record.status == "ok"
    assert [entry.network for entry in record.evaluations] == [0, 1]


def test_costs_are_summed_over_the_parts_of_a_cell(run, context, monkeypatch):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setenv("TINY_PAUSE", "0.05")

    def stop(phase, step, total, loss):
        if phase == "distil" and step == 4:
            raise Stop

    with pytest.raises(Stop):
        run("tiny-walk", tell=Reporter(stop, lambda _: None))
    monkeypatch.setenv("TINY_PAUSE", "0")
    record = run("tiny-walk")
    assert record.costs["distil"].wall_seconds > 3 * 0.05


def test_results_do_not_depend_on_the_order_of_cells(run, context):
    one = [run(name, where=dataclasses.replace(context, out=context.out / "a")) for name in ("tiny-walk", "random")]
    torch.rand(3)
    two = [run(name, where=dataclasses.replace(context, out=context.out / "b")) for name in ("random", "tiny-walk")]
    assert [record.evaluations for record in one] == [record.evaluations for record in reversed(two)]
