"""Tiny fixed runs of every method, kind of set and protocol, summed up in a few numbers that hold on every machine.

Rounding differs between processors, so few steps are taken, and of a tensor only projections are compared. Of a learned set
they are those of what learning changed: a constant that moves the result by a percent moves them by a percent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from bench.api import Protocol, SyntheticSet
from bench.core.precision import FULL
from bench.core.rng import generator
from bench.data.pixels import SplitClips
from bench.judging.protocols import wang2024
from bench.nets.builder import Builder
from bench.plugins import Registries
from bench.sets.adaptive import AdaptiveSet
from bench.sets.coded import coded
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet
from bench.sets.static_dynamic import StaticDynamicSet
from bench.sets.video_file import VideoFileSet, encoded
from bench.testing.rehearsal import CLASSES, Rehearsal, shape_of, tiny_store

Numbers = dict[str, list[float]]

SETTINGS = ("dense", "keyframes-2", "keyframes-adaptive", "segments-2")
BUDGET = 20_000
UPDATES = 12


def numbers(tensor: torch.Tensor) -> list[float]:
    """A tensor in four numbers: how many entries, the sum of their sizes, and two projections on fixed directions."""
    if tensor.is_meta:  # of clips that lie elsewhere
        return [float(tensor.numel())]
    flat = tensor.detach().double().flatten()
    directions = torch.randn(2, len(flat), generator=generator("golden", len(flat)), dtype=torch.float64)
    return [float(len(flat)), float(flat.abs().sum()), *(directions @ flat).tolist()]


def of_a_method(name: str, registries: Registries, folder: Path) -> Numbers:
    """What a method stores, learns and plans, in each kind of temporal setting that it can do."""
    rehearsal = Rehearsal(name, registries, folder)
    summary: Numbers = {}
    for setting in SETTINGS:
        method, work = rehearsal.method(setting), rehearsal.work(setting)
        if method.declines(work) is not None:
            continue
        budget = BUDGET if rehearsal.kind.fills_budget else None
        task = rehearsal.task(setting=setting, budget=budget)
        stored = method.distill(task).stored()
        start = {}
        if rehearsal.is_stepwise():
            unlearned = rehearsal.unlearned(setting)
            start = unlearned.distill(rehearsal.task(setting=setting, budget=budget)).stored()
        summary[f"{setting}: plan"] = [float(method.stored_bytes(work)), method.clip_passes(work)]
        for key, values in task.journal.history.items():
            summary[f"{setting}: history of {key}"] = list(values)
        for key, tensor in stored.items() if not rehearsal.kind.fills_budget else ():  # a codec's bytes are the codec's
            same = key in start and start[key].shape == tensor.shape
            summary[f"{setting}: {key}"] = numbers(tensor.double() - start[key].double() if same else tensor)
    return summary


def _tensor(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator("golden", *shape))


def _sets() -> dict[str, Callable[[], SyntheticSet]]:
    labels = torch.arange(4) % 2
    flags = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 1]], dtype=torch.uint8)
    pixels = (40 * _tensor(4, 3, 4, 16, 16) + 128).clamp(0, 255).to(torch.uint8)
    hallucinator = (_tensor(3, 4, 3, 3, 3) / 30, _tensor(3))
    memories = {"static": _tensor(4, 2, 3, 8, 8), "dynamic": _tensor(4, 2, 1, 4, 8, 8)}
    return {
        "dense": lambda: DenseSet(_tensor(4, 3, 4, 8, 8), labels),
        "dense, of pixels": lambda: DenseSet(pixels, labels),
        "keyframes": lambda: KeyframeSet(_tensor(4, 3, 2, 8, 8), labels, 4, "linear"),
        "keyframes, cubic": lambda: KeyframeSet(_tensor(4, 3, 3, 8, 8), labels, 4, "cubic"),
        "adaptive": lambda: AdaptiveSet(_tensor(5, 3, 8, 8), flags, labels[:2]),
        "coded, float16": lambda: coded(DenseSet(_tensor(4, 3, 4, 8, 8), labels), "float16"),
        "coded, uint8": lambda: coded(DenseSet(_tensor(4, 3, 4, 8, 8), labels), "uint8"),
        "static-dynamic": lambda: StaticDynamicSet(labels, 4, hallucinator=hallucinator, **memories),
        "static-dynamic, added": lambda: StaticDynamicSet(
            labels, 4, "add", static=memories["static"], dynamic=_tensor(4, 2, 1, 4, 8, 8)
        ),
        "video-file": lambda: _video(labels),
    }


def _video(labels: torch.Tensor) -> VideoFileSet:
    """Clips of one grey each, which every version of an encoder keeps."""
    greys = torch.linspace(40, 200, 16).view(4, 1, 4, 1, 1).expand(4, 3, 4, 16, 16).to(torch.uint8)
    file = torch.frombuffer(bytearray(encoded(greys, "h264", 10)), dtype=torch.uint8)
    return VideoFileSet(file, labels, (4, 16, 16), "h264")


SETS = _sets()
"""One small set of each kind, made anew at each call."""


def of_a_set(synthetic: SyntheticSet) -> Numbers:
    """What a kind of set stores and renders."""
    clips = synthetic.render(torch.arange(len(synthetic)), generator("render"))
    if synthetic.name == "video-file":  # other versions of the encoder write other bytes
        return {"means of the frames": clips.mean(dim=(1, 3, 4)).flatten().tolist()}
    stored = {f"stored {name}": numbers(tensor) for name, tensor in synthetic.stored().items()}
    return {"clips": numbers(clips), **stored}


class Enough(Exception):
    """The first updates have been seen."""


def _tested(kind: type[Protocol], train: SyntheticSet, build: Any) -> list[float]:
    """Scores of networks that hardly train: what the windows, flips and passes of a protocol's test make of real clips."""
    protocol = kind()
    clips = SplitClips(replace(tiny_store(), mirrors=True), "train", torch.device("cpu"))
    protocol.recipe = replace(protocol.recipe, epochs=2)  # type: ignore[misc]  # of this instance
    counts: list[float] = []
    with mock.patch.multiple(wang2024, EPOCHS=2, CUT=1):
        for network in range(4):
            evaluation = protocol.evaluate(train, clips, len(CLASSES), build, network, lambda *_: None)
            counts += [float(count) for row in evaluation.confusion for count in row]
    return counts


def of_a_protocol(kind: type[Protocol], registries: Registries) -> Numbers:
    """The first losses of training by a protocol, its figures and its recipe."""
    protocol, store = kind(), tiny_store()
    network = registries.networks.get("convnet3d-small")()
    builder = Builder(torch.device("cpu"), FULL)
    clip = shape_of(store)
    labels = torch.arange(len(CLASSES)).repeat_interleave(4)
    train = DenseSet(torch.randn(len(labels), *clip.dims(), generator=generator("golden clips")), labels)
    losses: list[float] = []

    def progress(done: int, total: int, loss: float) -> None:
        losses.append(float(loss))
        if done >= UPDATES:
            raise Enough

    def build(rng: torch.Generator) -> Any:
        return builder.build(network, len(CLASSES), clip, rng, "judge")

    test = SplitClips(store, "test", torch.device("cpu"))
    with contextlib.suppress(Enough):
        protocol.evaluate(train, test, len(CLASSES), build, 1, progress)
    tested = _tested(kind, train, build)
    recipe = protocol.recipe
    settings = [recipe.epochs, recipe.batch, recipe.lr, recipe.momentum, recipe.weight_decay, recipe.decay]
    return {
        "losses of the first updates": losses,
        "tested after two epochs": tested,
        "recipe": [*map(float, settings), *recipe.milestones, float(recipe.max_updates or 0)],
        "networks": [float(protocol.networks), protocol.fit_threshold, float(protocol.frozen_training)],
    }
