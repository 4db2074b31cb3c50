"""The starts of learned methods: the very sets that learning would change."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench import plugins
from bench.api import Method, Workload
from bench.core import config, temporal
from bench.running.plan.controls import start_of
from tests.oracle.fake_task import FakeTask

REGISTRIES = plugins.load()
FEW = {
    "steps": 1, "batch_real": 4, "static_steps": 1, "static_batch": 4, "pool": 2, "pool_updates": 2, "max_start_epoch": 1, "experts": 1,
    "expert_batch": 4, "syn_steps": 1, "outer_loops": 1, "inner_loops": 1,
}  # fmt: skip
RATES = ("lr", "lr_dynamic", "lr_hallucinator", "static_lr", "lr_labels", "lr_rate")
LEARNED = [name for name, method in REGISTRIES.methods if method(method.Config()).start() is not None]


def method_of(name, **values):
    """A method with few steps, given these hyper-parameters as far as it has them."""
    method = REGISTRIES.methods.get(name)
    fields = {field.name for field in dataclasses.fields(method.Config)}
    return method(method.Config(**{key: value for key, value in {**FEW, **values}.items() if key in fields}))


def start(method):
    control = start_of(method, REGISTRIES)
    kind = REGISTRIES.methods.get(control.method)
    return kind(config.build(kind.Config, control.values, control.method))


def content(synthetic):
    return {
        **synthetic.tensors(),
        "labels": synthetic.labels,
        "rate": torch.zeros(()) if synthetic.rate is None else synthetic.rate,
    }


def test_every_method_that_learns_has_a_start():
    names = {"dm", "dc", "dsa", "mtt", "frepo", "dm+sd", "dc+sd", "mtt+sd", "frepo+sd", "static-only"}
    assert names <= set(LEARNED)
    assert not {"random", "herding", "full", "start-clips", "start-frames", "start-memories"} & set(LEARNED)


@pytest.mark.parametrize("name", LEARNED)
def test_learning_at_rate_zero_leaves_the_start(name):
    still = method_of(name, **dict.fromkeys(RATES, 0.0))
    learned = content(still.distill(FakeTask(classes=3, per_class=4, ipc=2)))
    unlearned = content(start(still).distill(FakeTask(classes=3, per_class=4, ipc=2)))
    assert learned.keys() == unlearned.keys()
    for key, tensor in unlearned.items():
        torch.testing.assert_close(learned[key], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LEARNED)
def test_a_start_stores_as_much_as_what_is_learned_from_it(name):
    task = FakeTask(classes=3, per_class=4, ipc=2)
    method = method_of(name)
    work = Workload(3, 12, 2, task.clip, temporal.dense(task.clip.frames))
    assert start(method).stored_bytes(work) == method.stored_bytes(work)
    stored = start(method).distill(task)
    floats = sum(tensor.numel() * 4 for tensor in stored.tensors().values())
    labels = 4 * stored.labels.numel() if stored.labels.is_floating_point() else 0
    assert floats + labels + (0 if stored.rate is None else 4) == method.stored_bytes(work)


@pytest.mark.parametrize("setting", ["keyframes-2", "static", "segments-2"])
def test_pixels_start_as_the_frames_that_a_setting_stores(setting):
    task = FakeTask(classes=2, per_class=4, ipc=1)
    task.setting = temporal.parse(setting, task.clip.frames)
    still = method_of("dm", lr=0.0)
    learned, unlearned = still.distill(task), start(still).distill(task)
    for a, b in zip(learned.tensors().values(), unlearned.tensors().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("setting", ["dense", "keyframes-2", "segments-2"])
@pytest.mark.parametrize("match", ["clips", "frames"])
def test_noise_is_a_start_of_its_own(setting, match):
    task = FakeTask(classes=2, per_class=6, ipc=2)
    task.setting = temporal.parse(setting, task.clip.frames)
    still = method_of("dc", lr=0.0, start="noise", match=match)
    if match == "frames" and setting != "dense":
        return
    learned, unlearned = still.distill(task), start(still).distill(task)
    (noise,) = unlearned.tensors().values()
    assert torch.equal(next(iter(learned.tensors().values())).flatten(), noise.flatten())
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    clips = noise.flatten(1)
    assert torch.corrcoef(clips).fill_diagonal_(0).abs().max() < 0.15  # all clips differ
    if setting == "segments-2":
        first, second = noise.flatten(3).unflatten(2, (2, -1)).unbind(2)
        assert torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1].abs() < 0.1


def test_methods_without_learning_have_none():
    class Chosen(Method):
        distill = stored_bytes = clip_passes = lambda self, *_: None

    assert Chosen(None).start() is None
