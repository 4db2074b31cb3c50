"""What all parts do on a device as on the CPU: functions that raise AssertionError, without pytest, for `benchmarks/gpu.py` too.

The CPU is the reference. A device computes the same numbers but for rounding, and may take other code: `convnet3d-small` cuts no
batches up there, clips of a split stay there, pools are PyTorch's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch

from bench.api import ClipShape, Evaluation, Protocol, SyntheticSet
from bench.core.frame_order import PROBES
from bench.core.precision import FULL
from bench.core.repeated_frames import repeat_frame
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.data.pixels import SplitClips
from bench.distill.matching import PerStep
from bench.judging import motion, training
from bench.judging.cached_clips import cached_clips, cached_set
from bench.judging.evaluate import evaluate_set
from bench.judging.frozen import FrozenSet
from bench.judging.mirrored import MirroredSet
from bench.judging.probes import probed
from bench.judging.protocols import wang2024
from bench.nets.builder import Builder
from bench.nets.layers import SeededDropout, build_on
from bench.plugins import Registries
from bench.running.cell import checkpoints
from bench.running.cell import task as cell_task
from bench.sets.adaptive import GrowingSet
from bench.sets.dense import DenseSet
from bench.sets.real import RealSet
from bench.testing import pretend
from bench.testing.rehearsal import CLASSES, Rehearsal, content, shape_of, silent, tiny_store
from tests.golden.runs import SETS

CPU = torch.device("cpu")
SMALL = ClipShape(3, 4, 16, 16)
SHAPES = {
    "convnet3d": ClipShape(3, 8, 64, 64),
    "x3d_xs": ClipShape(3, 2, 32, 32),
    "slow_r50": ClipShape(3, 2, 32, 32),
    "r2plus1d_r50": ClipShape(3, 5, 32, 32),
    "csn": ClipShape(3, 2, 32, 32),
    "mvit": ClipShape(3, 2, 32, 32),
}
"""The smallest clips of networks that cannot take `SMALL` ones."""

SETTINGS = ("keyframes-2", "static", "n4-r2-k1-nearest", "keyframes-adaptive", "segments-2")

WAITS = {"herding": 1, "kcenter": 1}
"""How often a step waits, where it does: these copy the features of a class, to compare them in float64."""

UPSTREAM_WAITS = {"mtt": 3, "mtt+sd": 4, "dc+sd": 2}
"""The same of shared work, elsewhere one copy: an epoch of an expert copies its weights at the start and the end, and shows a loss;
with still images they are written to the disk in between."""

Waits = Callable[[], list[str]]


@contextlib.contextmanager
def waiting(device: torch.device) -> Iterator[Waits]:
    """Gives a function that lists what the program has waited for the device for since; nothing on the CPU."""
    if device.type == pretend.NAME:
        with pretend.counting() as counts:
            yield lambda: list(counts.waits)
    elif device.type == "cuda":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield lambda: [f"{w.filename}:{w.lineno}" for w in caught if "synchronizing" in str(w.message)]
            finally:
                torch.cuda.set_sync_debug_mode("default")
    else:
        yield list


def close(one: torch.Tensor, other: torch.Tensor, share: float, scale: float | None = None) -> None:
    """Raises unless two tensors differ by no more than a share of the largest number of the first, or of ``scale``."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    assert one.shape == other.shape, f"shapes {tuple(one.shape)} and {tuple(other.shape)}"
    if not one.numel():
        return
    apart = float((one - other).abs().max())
    scale = float(one.abs().max()) if scale is None else scale
    assert apart <= share * scale, f"the device differs by {apart:.2g}, {apart / max(scale, 1e-30):.1%} of {scale:.2g}"


# ----------------------------------------------------------------------------------------------------------------------
# Methods


def method(name: str, registries: Registries, device: torch.device, folder: Path, share: float = 0.01) -> None:
    """A method stores on a device what it stores on the CPU, and none of its steps waits.

    Args:
        name, registries, device, folder: see there.
        share: how much may differ, of what learning changed; of what it did not change, a thousandth.
    """
    with _few_steps():
        rehearsal = Rehearsal(name, registries, folder, values=_steps(name, registries, 4))
        with _watched(rehearsal, device) as (task, waits):
            synthetic = rehearsal.method().distill(task)
        made = content(synthetic)
        _compare(rehearsal, "dense", made, share)
    for phase, most in (("distil", WAITS.get(name, 0)), ("upstream", UPSTREAM_WAITS.get(name, 1))):
        found = _between(waits, phase)
        assert len(found) <= most, f"a step of {name} ({phase}) waits {len(found)} times: {found}"


def setting(name: str, label: str, registries: Registries, device: torch.device, folder: Path) -> None:
    """The same in another temporal setting."""
    with _few_steps():
        rehearsal = Rehearsal(name, registries, folder, values=_steps(name, registries, 4))
        made = content(rehearsal.distill(label, device=str(device)))
        _compare(rehearsal, label, made, 0.01)


def resumed(name: str, registries: Registries, device: torch.device, folder: Path) -> None:
    """A method that is stopped on a device and goes on ends with the same set, and waits no more than before it was stopped."""

    class Stop(Exception):
        pass

    def stop(phase: str, step: int, total: int, loss: float | None) -> None:
        if phase == "distil" and step == 3:
            raise Stop

    with _few_steps(), mock.patch.object(checkpoints, "CHECKPOINT_SECONDS", 0.0):
        rehearsal = Rehearsal(name, registries, folder, values=_steps(name, registries, 7))
        path = folder / "state.safetensors"
        whole = content(rehearsal.distill(device=str(device)))
        with contextlib.suppress(Stop):
            reporter = Reporter(stop, lambda line: None)
            rehearsal.distill(device=str(device), path=path, reporter=reporter)
    with _few_steps(), _watched(rehearsal, device, path) as (task, waits):
        assert task.resume() is not None
        synthetic = rehearsal.method().distill(task)
    made = content(synthetic)
    for one, other in zip(whole, made, strict=True):
        close(one, other, 1e-6)
    assert not _between(waits, "distil"), f"a resumed step of {name} waits: {_between(waits, 'distil')}"


def _steps(name: str, registries: Registries, count: int) -> dict[str, int]:
    fields = registries.methods.get(name).Config.__dataclass_fields__
    return {"steps": count} if "steps" in fields else {}


@contextlib.contextmanager
def _few_steps() -> Iterator[None]:
    """Blocks of shared work are small, and of a method's numbers only the last is read."""
    with contextlib.ExitStack() as patches:
        for kind in (PerStep, *PerStep.__subclasses__()):
            patches.enter_context(mock.patch.object(kind, "most", 3))
        patches.enter_context(mock.patch.multiple(cell_task, HISTORY_POINTS=1, LOOK_SECONDS=math.inf))
        patches.enter_context(mock.patch.object(checkpoints, "CHECKPOINT_SECONDS", math.inf))
        yield


@contextlib.contextmanager
def _watched(
    rehearsal: Rehearsal, device: torch.device, path: Path | None = None
) -> Iterator[tuple[cell_task.CellTask, list[tuple[str, list[str]]]]]:
    """A task, and a list that gets, after each step, its phase and all that was waited for until then."""
    seen: list[tuple[str, list[str]]] = []
    with waiting(device) as waits:
        reporter = Reporter(lambda phase, *_: seen.append((phase, waits())), lambda line: None)
        yield rehearsal.task(device=str(device), path=path, reporter=reporter), seen


def _between(seen: list[tuple[str, list[str]]], phase: str) -> list[str]:
    """The most that was waited for from one step of a phase to the next; the first, and the last, which is recorded, left out."""
    pairs = list(itertools.pairwise(seen))[:-1]
    apart = [after[len(before) :] for (one, before), (other, after) in pairs if one == other == phase]
    return max(apart, key=len, default=[])


def _compare(rehearsal: Rehearsal, label: str, made: list[torch.Tensor], share: float) -> None:
    """Sets are compared by what learning changed."""
    expected = content(rehearsal.distill(label))
    start = [None] * len(made)
    if rehearsal.is_stepwise():
        start = content(rehearsal.unlearned(label).distill(rehearsal.task(setting=label)))
    for one, other, before in zip(expected, made, start, strict=True):
        learned = before is not None and before.shape == one.shape and not torch.equal(before, one)
        if learned:
            close(one, other, share, float((one.double() - before.double()).abs().max()))
        else:
            close(one, other, 1e-3)


# ----------------------------------------------------------------------------------------------------------------------
# Sets


def kind_of_set(name: str, device: torch.device) -> None:
    """A set that lies on the device renders what it renders on the CPU, and does not wait."""
    made = SETS[name]()
    there = type(made).restore(
        {key: tensor.to(device) for key, tensor in made.tensors().items()}, made.labels, made.options()
    )
    index = torch.tensor([3 % len(made), 0])
    _render_alike(made, there, index, device)
    for one, other in ((FrozenSet(made), FrozenSet(there)), (made, cached_set(there, device, torch.channels_last_3d))):
        _render_alike(one, other, index, device)


def sets_under_way(device: torch.device) -> None:
    """The same of sets that exist only while they are used: real clips, kept there and read from the store, and a growing set."""
    store = tiny_store()
    index = torch.tensor([3, 0, 3])
    for free in (1 << 40, 0):
        one, other = (RealSet(SplitClips(store, "train", place, free)) for place in (CPU, device))
        waits = device.type == pretend.NAME and free == 0
        _render_alike(one, other, index, device, wait=waits)
        _render_alike(MirroredSet(one), MirroredSet(other), index, device, wait=waits)
    clips = torch.randn(2, 3, 8, 4, 4, generator=generator("growing"))
    wanted = torch.ones(8, 1, 1)
    wanted[1:-1] = -1.0  # what is between the ends wants to go the other way
    ends = []
    for place in (CPU, device):
        growing = GrowingSet(clips.to(place), torch.arange(2), updates=20)
        for _ in range(20):
            growing.clips.requires_grad_(True)
            shown = growing.render(torch.arange(2), generator("unused"))
            (gradient,) = torch.autograd.grad((shown * wanted.to(place)).sum(), [growing.clips])
            growing.clips = growing.clips.detach() - 0.05 * gradient
            growing.updated()
        ends.append(growing.finished())
    assert torch.equal(ends[0].stored_at, ends[1].stored_at.cpu())
    assert int(ends[0].stored_at.sum()) > 4, "no frame was inserted"
    close(ends[0].frames, ends[1].frames, 1e-4)


def _render_alike(
    one: SyntheticSet, other: SyntheticSet, index: torch.Tensor, device: torch.device, wait: bool = False
) -> None:
    other.render(index, generator("before"))  # some decode at the first time
    with waiting(device) as waits:
        shown = other.render(index, generator("render"))
        assert wait or not waits(), f"rendering waits: {waits()}"
    assert shown.device.type == device.type
    close(one.render(index, generator("render")), shown, 1e-5)


# ----------------------------------------------------------------------------------------------------------------------
# Networks


def network(name: str, registries: Registries, device: torch.device, share: float = 1e-3) -> None:
    """A network has the same weights on a device, the same features and gradients, and does not wait."""
    clip = SHAPES.get(name, SMALL)
    kind = registries.networks.get(name)()
    clips = torch.randn(2, *clip.dims(), generator=generator("clips"))
    labels = torch.tensor([0, 2])
    built = [build_on(place, kind, 3, clip, generator("network")).eval() for place in (CPU, device)]
    for one, other in zip(built[0].state_dict().values(), built[1].state_dict().values(), strict=True):
        assert torch.equal(one, other.cpu()), "another weight on the device"
    _open_branches(built)

    def passed(place: torch.device, net: torch.nn.Module) -> list[torch.Tensor]:
        given = clips.to(place).requires_grad_(True)
        features, logits = net.features(given), net(given)
        loss = torch.nn.functional.cross_entropy(logits, labels.to(place, non_blocking=True))
        wanted = [given, *(parameter for parameter in net.parameters())]
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        return [features, logits, *(gradient for gradient in gradients if gradient is not None)]

    expected = passed(CPU, built[0])
    if device.type == "cuda":
        passed(device, built[1])  # the first pass sets things up
    clips = clips.to(device)
    with waiting(device) as waits:
        found = passed(device, built[1])
        assert not waits(), f"a pass waits: {waits()}"
    for one, other in zip(expected, found, strict=True):
        close(one, other, share, max(float(one.detach().abs().max()), 1e-4))
    if kind.__module__.endswith(".convnets"):  # these compute equal frames once
        still = repeat_frame(clips[:, :, :1], clip.frames)
        close(built[0].features(repeat_frame(clips[:, :, :1].cpu(), clip.frames)), built[1].features(still), share)


def _open_branches(networks: list[torch.nn.Module]) -> None:
    """Residual branches that start closed, by a last norm of zeros, are opened."""
    for net in networks:
        for layer in net.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._NormBase) and not bool(layer.weight.any()):
                torch.nn.init.ones_(layer.weight)


def masks(device: torch.device) -> None:
    """Dropout draws the same masks on a device, without waiting."""
    values = torch.randn(4, 5, generator=generator("values"))
    there = values.to(device)
    with waiting(device) as waits:
        dropped = SeededDropout(0.5, generator("masks")).train()(there)
        assert not waits(), f"dropout waits: {waits()}"
    close(SeededDropout(0.5, generator("masks")).train()(values), dropped, 1e-6)


# ----------------------------------------------------------------------------------------------------------------------
# Judging


def protocol(name: str, registries: Registries, device: torch.device) -> None:
    """A protocol finds on a device what it finds on the CPU, its probes included; an update of its networks waits for nothing."""
    kind = registries.protocols.get(name)
    expected, _ = _judged(kind, registries, CPU)
    found, updates = _judged(kind, registries, device)
    assert [evaluation.updates for evaluation in found] == [evaluation.updates for evaluation in expected]
    for one, other in zip(expected, found, strict=True):
        assert one.confusion == other.confusion
        assert (one.probes, one.top5, one.train_accuracy) == (other.probes, other.top5, other.train_accuracy)
        assert set(one.probes) == set(PROBES)
        assert one.loss is not None
        assert other.loss is not None
        assert math.isclose(one.loss, other.loss, rel_tol=1e-3)
    assert not updates, f"an update of a network waits: {updates}"


def _judged(kind: type[Protocol], registries: Registries, device: torch.device) -> tuple[list[Evaluation], list[str]]:
    """The evaluations of two networks that train for two updates, and what an update between them waits for."""
    judge, store = kind(), dataclasses.replace(tiny_store(), mirrors=True)
    judge.recipe = dataclasses.replace(judge.recipe, epochs=2)  # type: ignore[misc]  # of this instance
    judge.networks = 2  # type: ignore[misc]
    clip = shape_of(store)
    labels = torch.arange(len(CLASSES)).repeat_interleave(4)
    clips = torch.randn(len(labels), *clip.dims(), generator=generator("judged"))
    found: list[str] = []
    step = training._step

    def watched(*arguments: object) -> torch.Tensor:
        with waiting(device) as waits:
            loss = step(*arguments)  # type: ignore[arg-type]
            found.extend(waits())
        return loss

    with mock.patch.multiple(wang2024, EPOCHS=2, CUT=1), mock.patch.object(training, "_step", watched):
        evaluations = evaluate_set(
            DenseSet(clips.to(device), labels), SplitClips(store, "test", device), store.classes, clip,
            registries.networks.get("convnet3d-small")(), judge, Builder(device, FULL), silent(), probes=PROBES,
        )  # fmt: skip
    return evaluations, found


def tests_wait_once(device: torch.device, registries: Registries) -> None:
    """Testing waits for each batch's classes, once; training for nothing but the losses that are shown."""
    store = tiny_store()
    kind = registries.networks.get("convnet3d-small")()
    judge = Builder(device, FULL).build(kind, len(CLASSES), shape_of(store), generator("judge"), "judge")
    clips = cached_clips(SplitClips(store, "train", device), torch.contiguous_format)
    training.test(judge, clips, len(CLASSES), batch=4)
    batches = -(-len(clips) // 4)
    with waiting(device) as waits:
        training.test(judge, clips, len(CLASSES), batch=4)
        assert device.type == "cpu" or len(waits()) == batches, f"{batches} batches wait for {waits()}"
    for name, probe in probed(clips, 0).items():
        with waiting(device) as waits:
            training.test(judge, probe, len(CLASSES), batch=4)
            assert device.type == "cpu" or len(waits()) == batches, f"{name}: {batches} batches wait for {waits()}"


def motion_energy(device: torch.device) -> None:
    """Motion is measured alike."""
    clips = torch.randn(3, 3, 4, 8, 8, generator=generator("motion"))
    close(motion.motion_energy(clips), motion.motion_energy(clips.to(device)), 1e-5)
