"""What every registered method must hold to, whoever wrote it."""

from __future__ import annotations

import dataclasses
import json
import random

import numpy as np
import pytest
import torch

import bench.task
from bench import plugins, temporal
from bench.api import Workload
from bench.cell import check_set, run_cell
from bench.costs import count_set
from bench.data.store import open_or_build
from bench.grid import resolve_config
from bench.plugins import PLUGIN_PACKAGES
from bench.rng import generator
from bench.store.artefacts import load_set, save_set
from bench.store.records import Cell
from bench.task import CellTask, Journal, Reporter, load_journal

REGISTRY = plugins.load().methods
METHODS = [name for name in REGISTRY.names() if REGISTRY.origin(name).where.partition(".")[0] in PLUGIN_PACKAGES]
IPC = 2

# Budgets that make a method take milliseconds; only those that a method has are set.
BUDGET = {
    "steps": 4, "batch_real": 4, "static_steps": 2, "static_batch": 4,
    "syn_steps": 2, "max_start_epoch": 2, "experts": 2, "expert_batch": 4, "pool": 2, "pool_updates": 3,
}  # fmt: skip


def overrides(name):
    fields = {field.name for field in dataclasses.fields(REGISTRY.get(name).Config)}
    return {key: value for key, value in BUDGET.items() if key in fields}


LEARNED = [name for name in METHODS if "steps" in overrides(name)]
SEEDED = [name for name in METHODS if REGISTRY.get(name).uses_seed]


@pytest.fixture(scope="module")
def store(plan, tmp_path_factory):
    """Clips of three classes of 4, 5 and 6 training clips, two windows each."""
    (planned,) = plan("full", dataset="tiny[views=2]")
    return open_or_build(planned.dataset, planned.index, planned.geometry, tmp_path_factory.mktemp("clips"), 1)


class Bench:
    """Distils one method again and again, each time with an empty cache."""

    def __init__(self, registries, store, folder):
        self.registries = registries
        self.store = store
        self.folder = folder
        self.runs = 0

    def task(self, name, seed=0, setting="dense", ipc=IPC, store=None, reporter=None, path=None):
        """A task over the tiny clips; a path makes it go on from the checkpoint there."""
        self.runs += 1
        cell = Cell(
            name, {}, "", "tiny", "", {"frames": 4}, "quick", "convnet3d-small", "tiny/1", ipc, setting, seed
        )  # fmt: skip
        path = path or self.folder / f"{self.runs}" / "state.safetensors"
        return CellTask(
            cell, store or self.store, "train", self.shape(), temporal.parse(setting, 4),
            self.registries.networks.get("convnet3d-small")(),
            self.registries.networks.get("cnn-mean-small")(), self.registries.protocols.get("tiny")(),
            torch.device("cpu"), path, self.folder / f"cache-{self.runs}",
            reporter or Reporter(lambda *_: None, lambda _: None), load_journal(path, cell.id()),
        )  # fmt: skip

    def shape(self):
        """The shape of the tiny clips."""
        _, _, frames, height, width, channels = self.store.clips.shape
        return bench.task.ClipShape(channels, frames, height, width)

    def method(self, name, setting="dense", **values):
        """The method with a small budget."""
        kind = REGISTRY.get(name)
        return kind(resolve_config(kind, "quick", "tiny", IPC, setting, {**overrides(name), **values}))

    def distill(self, name, **task):
        """A set."""
        return self.method(name, task.get("setting", "dense")).distill(self.task(name, **task))


@pytest.fixture
def tiny(registries, store, tmp_path):
    """Distils methods on the tiny clips."""
    return Bench(registries, store, tmp_path)


def content(synthetic):
    """What a set stores and renders, as one list of tensors. Sets that refer to data are known by what they render."""
    stored = [tensor for tensor in synthetic.stored().values() if not tensor.is_meta]
    rendered = synthetic.render(torch.arange(len(synthetic)), generator("content"))
    return [synthetic.labels, rendered.detach(), *(tensor.detach() for tensor in stored)]


def same(one, other):
    """Bit for bit, types and shapes included."""
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def test_there_are_methods_of_each_kind():
    assert {"random", "herding", "kcenter", "full", "dm"} <= set(METHODS)
    assert "dm" in LEARNED
    assert set(SEEDED) < set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_tuned_are_positive_floats_or_decibels(name):
    method = REGISTRY.get(name)
    defaults = dataclasses.asdict(method.Config())
    for field in method.tuned:
        assert type(defaults[field]) in (int, float)
        assert defaults[field] > 0


# ----------------------------------------------------------------------------------------------------------------------
# The set


@pytest.mark.parametrize("name", METHODS)
def test_the_set_is_balanced_finite_and_within_the_budget(tiny, name):
    synthetic = tiny.distill(name)
    method = REGISTRY.get(name)
    check_set(synthetic, 3, tiny.shape(), IPC if method.uses_ipc else None)
    hard = synthetic.labels if synthetic.labels.dim() == 1 else synthetic.labels.argmax(dim=1)
    counts = torch.bincount(hard, minlength=3).tolist()
    assert counts == ([IPC] * 3 if method.uses_ipc else [4, 5, 6])


@pytest.mark.parametrize("name", METHODS)
def test_every_clip_renders_alone_and_among_others(tiny, name):
    synthetic = tiny.distill(name)
    index = torch.tensor([len(synthetic) - 1, 0, 1])
    clips = synthetic.render(index, generator("render"))
    assert clips.shape == (3, *tiny.shape().dims())
    assert clips.dtype == torch.float32
    assert bool(torch.isfinite(clips).all())
    assert torch.equal(synthetic.render(index, generator("render")), clips)


@pytest.mark.parametrize("name", METHODS)
def test_a_class_with_fewer_clips_than_the_budget_is_no_accident(tiny, name):
    check_set(tiny.distill(name, ipc=5), 3, tiny.shape(), 5 if REGISTRY.get(name).uses_ipc else None)


@pytest.mark.parametrize("setting", sorted(temporal.presets(4)))
@pytest.mark.parametrize("name", METHODS)
def test_a_temporal_setting_is_carried_out_or_declined_in_a_sentence(tiny, name, setting):
    work = Workload(3, 15, IPC, tiny.shape(), temporal.parse(setting, 4))
    declined = tiny.method(name, setting).declines(work)
    if declined is None:
        synthetic = tiny.distill(name, setting=setting)
        check_set(synthetic, 3, tiny.shape(), IPC if REGISTRY.get(name).uses_ipc else None)
        if REGISTRY.get(name).uses_ipc and not REGISTRY.get(name).fills_budget:
            # What the plan says to the byte, or at most that where learning places frames.
            stored, planned = count_set(synthetic, None).storage_bytes, tiny.method(name, setting).stored_bytes(work)
            assert stored <= planned if setting == "keyframes-adaptive" else stored == planned
    else:
        assert setting != "dense"
        assert len(declined) > 10
        assert "\n" not in declined


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dataset", ["tiny", "tiny[views=2]"])
def test_the_bytes_planned_counted_recorded_and_on_disk_are_the_same(
    plan, registries, reporter, context, tiny, name, dataset
):
    (planned,) = plan(name, dataset=dataset, ipcs=(IPC,), overrides={name: overrides(name)})
    record = run_cell(planned, registries, context, reporter)
    assert (record.status, record.reason) == ("ok", "")
    if not REGISTRY.get(name).fills_budget:  # what a codec takes is not known before
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


@pytest.mark.parametrize("name", METHODS)
def test_an_archived_set_comes_back_as_it_was(tiny, name, registries):
    synthetic = tiny.distill(name)
    if synthetic.archived:
        save_set(tiny.folder / "set", synthetic, {})
        again, _ = load_set(tiny.folder / "set", registries)
        assert same(content(again), content(synthetic))
        assert again.label_loss == synthetic.label_loss
        assert count_set(again, None) == count_set(synthetic, None)
    else:
        assert not REGISTRY.get(name).uses_ipc


# ----------------------------------------------------------------------------------------------------------------------
# Randomness


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_gives_the_same_set_whatever_the_global_generators_hold(tiny, name):
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    one = content(tiny.distill(name))
    torch.manual_seed(2)
    random.seed(2)
    np.random.seed(2)
    assert same(content(tiny.distill(name)), one)


@pytest.mark.parametrize("name", METHODS)
def test_the_global_generators_are_left_alone(tiny, name):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    tiny.distill(name).render(torch.tensor([0]), generator("render"))
    after = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


@pytest.mark.parametrize("name", METHODS)
def test_another_seed_gives_another_set_exactly_where_seeds_are_used(tiny, name):
    sets = [content(tiny.distill(name, seed=seed, ipc=1)) for seed in range(4)]
    differ = any(not same(entry, sets[0]) for entry in sets[1:])
    assert differ == REGISTRY.get(name).uses_seed


# ----------------------------------------------------------------------------------------------------------------------
# What a method may see


@pytest.mark.parametrize("name", METHODS)
def test_the_test_split_is_never_touched(tiny, store, name):
    test = store.positions("test")
    poisoned = store.clips.copy()
    poisoned[test] = 255 - poisoned[test]
    labels = store.labels.copy()
    labels[test] = 0
    other = dataclasses.replace(store, clips=poisoned, labels=labels)
    assert not np.array_equal(other.clips, store.clips)
    assert same(content(tiny.distill(name, store=other)), content(tiny.distill(name)))


@pytest.mark.parametrize("name", METHODS)
def test_the_train_split_matters(tiny, store, name):
    other = dataclasses.replace(store, clips=255 - store.clips)
    assert not same(content(tiny.distill(name, store=other)), content(tiny.distill(name)))


# ----------------------------------------------------------------------------------------------------------------------
# Learning, and going on


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_set_leaves_its_initialisation_and_stays_finite(tiny, name):
    start = tiny.method(name, steps=0).distill(tiny.task(name)).stored()
    end = tiny.distill(name).stored()
    assert start.keys() == end.keys()
    unchanged = {key for key in start if torch.equal(start[key], end[key])}
    assert unchanged <= {"static"}  # learned in stage one, then frozen


@pytest.mark.parametrize("name", LEARNED)
def test_progress_is_reported_step_by_step_with_a_finite_loss(tiny, name):
    seen = []
    task = tiny.task(name, reporter=Reporter(lambda *step: seen.append(step), lambda _: None))
    tiny.method(name).distill(task)
    steps = [(step, total) for phase, step, total, _ in seen if phase == "distil"]
    assert steps == [(step, BUDGET["steps"]) for step in range(1, BUDGET["steps"] + 1)]
    assert all(np.isfinite(loss) for phase, _, _, loss in seen if phase == "distil")
    assert task.journal.history["step"] == [1.0, 2.0, 3.0, 4.0]


class Stop(Exception):
    """The power went out."""


@pytest.mark.parametrize("reports", [1, 2, 4])
@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_run_ends_like_an_unbroken_one(tiny, name, reports, monkeypatch):
    monkeypatch.setattr(bench.task, "CHECKPOINT_SECONDS", 0.0)
    unbroken = tiny.task(name)
    expected = content(tiny.method(name).distill(unbroken))
    left = [reports]

    def step(phase, *_):
        left[0] -= phase == "distil"
        if left[0] == 0:
            left[0] = -1
            raise Stop

    path = tiny.folder / "broken" / "state.safetensors"
    broken = tiny.task(name, reporter=Reporter(step, lambda _: None), path=path)
    stopped = False
    try:
        tiny.method(name).distill(broken)
    except Stop:
        stopped = True
    assert stopped or name not in LEARNED
    resumed = tiny.task(name, path=path)
    if name in LEARNED and reports > 1:
        assert resumed.resume()[0] == reports - 1
    assert same(content(tiny.method(name).distill(resumed)), expected)
    assert resumed.journal.history == unbroken.journal.history


@pytest.mark.parametrize("name", METHODS)
def test_the_checkpoint_of_another_cell_is_not_taken(tiny, name, monkeypatch):
    monkeypatch.setattr(bench.task, "CHECKPOINT_SECONDS", 0.0)
    path = tiny.folder / "shared" / "state.safetensors"
    tiny.method(name).distill(tiny.task(name, seed=1, path=path))
    task = tiny.task(name, path=path)
    assert task.resume() is None
    assert task.journal == Journal()
    assert same(content(tiny.method(name).distill(task)), content(tiny.distill(name)))


# ----------------------------------------------------------------------------------------------------------------------
# What the plan and the lists read


@pytest.mark.parametrize("name", METHODS)
def test_the_plan_grows_with_the_work_and_a_summary_is_there(tiny, name):
    method = tiny.method(name)
    small = Workload(3, 15, 1, tiny.shape(), temporal.dense(4))
    large = Workload(6, 30, 2, tiny.shape(), temporal.dense(4))
    assert 0 < method.stored_bytes(small) < method.stored_bytes(large)
    assert 0 <= method.clip_passes(small) <= method.clip_passes(large)
    assert method.declines(small) is None
    assert REGISTRY.get(name).__doc__.strip().endswith(".")
    for preset in method.presets:
        assert preset.source
        resolve_config(REGISTRY.get(name), "quick", "tiny", 1, "dense", dict(preset.values))
