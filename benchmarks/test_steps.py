"""A step of each method, by its own code, against bare passes of the clips that it needs; and how steps scale."""

from __future__ import annotations

import pytest
import torch
from bench.methods.dc import DCConfig, RealGradients, unchanged
from bench.methods.dm import DM, DMConfig, RealMeans

from bench.api import ClipShape, Workload
from benchmarks.conftest import QUICK
from benchmarks.plain import dm_step
from benchmarks.task import BenchTask

STEPS = 2
STATIC = {"static_steps": 1, "static_batch": 8, "static_outer": 1, "static_inner": 1}
METHODS = {
    "dm": {"batch_real": 32},
    "dc": {"batch_real": 16},
    "mtt": {"experts": 1, "max_start_epoch": 1, "syn_steps": 10},
    "frepo": {"batch_real": 64, "pool": 2, "pool_updates": 100},
    "dm+sd": {"batch_real": 32, **STATIC},
}
REAL_PASSES = {"dm": 1, "dm+sd": 1, "dc": 3}
"""Of each real clip, in what cells share: forward, or forward and backward."""

BASE = {"classes": 4, "ipc": 1, "frames": 8, "size": 32}
CURVES = [
    *(("classes", value) for value in (2, 4, 8)),
    *(("ipc", value) for value in (1, 4, 16)),
    *(("frames", value) for value in (4, 8, 16)),
    *(("size", value) for value in (32, 48, 64)),
]


def measure(against, make_bare, registries, name, values, classes, ipc, frames, size):
    """One step, from two in a row; what comes before them is measured as a run of no step and left out."""
    shape = ClipShape(3, frames, size, size)
    kind = registries.methods.get(name)
    config = kind.Config(**{**values, "steps": STEPS})
    task = BenchTask(classes, 40, ipc, shape)
    work = Workload(classes, 40 * classes, ipc, shape, task.setting)

    def passes(steps):
        return kind(kind.Config(**{**values, "steps": steps})).clip_passes(work)

    total = (passes(2 * STEPS) - passes(STEPS)) / STEPS  # of one step, without what is upstream
    shared = classes * values.get("batch_real", 0) * REAL_PASSES.get(name, 0)  # the real side, measured below
    kind(config).distill(task)  # makes the upstream artefacts
    against(
        lambda: kind(config).distill(task), make_bare(shape, batch=min(32, max(4, classes * ipc)), classes=classes),
        trainings=(total - shared) / 3, scale=STEPS, method=name,
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_step(against, make_bare, registries, name):
    measure(against, make_bare, registries, name, METHODS[name], 4, 1, QUICK.frames, QUICK.height)


WHOLE = {"quick": ("convnet3d-small", QUICK, 4, 32), "published": ("convnet3d", ClipShape(3, 16, 112, 112), 2, 16)}
"""Network, clips, classes and real clips a class of a step of `dm` with its real side, as a cell that shares with none takes it."""


def whole_step(registries, geometry):
    """A task, real clips a class and a call that takes `STEPS` steps, each with its real side."""
    name, shape, classes, batch = WHOLE[geometry]
    task = BenchTask(classes, batch, 1, shape, registries.networks.get(name)())

    def steps():
        task.made.clear()
        DM(DMConfig(steps=STEPS, batch_real=batch)).distill(task)

    return task, batch, steps


@pytest.mark.parametrize("geometry", WHOLE)
def test_whole_step_of_dm(against, make_bare, registries, monkeypatch, geometry):
    monkeypatch.setattr(RealMeans, "most", STEPS)  # no more real sides than steps
    _, batch, steps = whole_step(registries, geometry)
    name, shape, classes, _ = WHOLE[geometry]
    bare = make_bare(shape, name, batch=min(32, classes * batch), classes=classes)
    against(steps, bare, forwards=classes * batch, trainings=classes, scale=STEPS, rounds=3, method="dm, whole")


@pytest.mark.parametrize("geometry", WHOLE)
def test_dm_written_plainly(beside, registries, monkeypatch, geometry):
    """Its share is what the suite's step takes of it: below 80 % the suite's is 1.25 times as fast."""
    monkeypatch.setattr(RealMeans, "most", STEPS)
    task, batch, steps = whole_step(registries, geometry)
    name, shape, classes, _ = WHOLE[geometry]
    learned = torch.randn(classes, 1, *shape.dims(), requires_grad=True)
    optimiser = torch.optim.SGD([learned], lr=1.0, momentum=0.5)

    def plainly():
        for step in range(STEPS):
            dm_step(task, name, learned, optimiser, batch, step)

    beside(plainly, steps, rounds=3, scale=STEPS)


def test_mtt_stepwise_beside_unrolled(beside, registries):
    """Its share is what the unrolled step takes of it: above 67 % it takes less than 1.5 times as long."""
    task = BenchTask(4, 40, 1, QUICK)
    kind = registries.methods.get("mtt")

    def run(backward):
        kind(kind.Config(**{**METHODS["mtt"], "backward": backward, "steps": STEPS})).distill(task)

    run("unrolled")  # trains the expert
    beside(lambda: run("stepwise"), lambda: run("unrolled"), rounds=10, scale=STEPS)


def real_side(against, make_bare, name, classes, frames, size, batch_real):
    """One step of what all cells of a distillation seed share."""
    shape = ClipShape(3, frames, size, size)
    task = BenchTask(classes, max(40, batch_real), 1, shape)
    clips = classes * batch_real
    if name == "dm":
        what, work = RealMeans(task, RealMeans.most, batch_real), {"forwards": clips}
    else:
        config = DCConfig(steps=RealGradients.most, batch_real=batch_real)
        what, work = RealGradients(task, config.loops(1).networks, config.batch_real, unchanged), {"trainings": clips}
    against(
        lambda: what.make(task, 0),
        make_bare(shape, batch=32, classes=classes),
        scale=what.block,
        method=f"{name}, real",
        **work,
    )


@pytest.mark.parametrize(("name", "batch_real"), [("dm", 32), ("dc", 16)])
def test_real_side(against, make_bare, name, batch_real):
    real_side(against, make_bare, name, 4, QUICK.frames, QUICK.height, batch_real)


@pytest.mark.parametrize(("axis", "value"), [(axis, value) for axis, value in CURVES if axis != "ipc"])
def test_real_side_of_dm_scales(against, make_bare, axis, value):
    shape = {**BASE, axis: value}
    real_side(against, make_bare, "dm", shape["classes"], shape["frames"], shape["size"], 16)


@pytest.mark.parametrize(("axis", "value"), CURVES)
def test_dm_scales(against, make_bare, registries, axis, value):
    measure(against, make_bare, registries, "dm", {"batch_real": 16}, **{**BASE, axis: value})


@pytest.mark.parametrize("syn_steps", [5, 10, 20])
@pytest.mark.parametrize("backward", ["unrolled", "stepwise"])
def test_mtt_scales_with_its_student(against, make_bare, registries, syn_steps, backward):
    values = {**METHODS["mtt"], "syn_steps": syn_steps, "backward": backward}
    measure(against, make_bare, registries, "mtt", values, 4, 1, QUICK.frames, QUICK.height)
