"""Bare passes against the machine's limits, and one update of a network of the judging protocol."""

from __future__ import annotations

import pytest
import torch

from bench.api import Recipe
from bench.core.repeated_frames import repeat_frame
from bench.core.rng import generator
from bench.judging import training
from bench.judging.cached_clips import CachedClips
from bench.nets.halved import to_judge
from bench.sets.dense import DenseSet
from benchmarks.conftest import QUICK, ClipShape
from benchmarks.plain import stack

SHAPES = {"quick": ("convnet3d-small", QUICK, 32), "published": ("convnet3d", ClipShape(3, 16, 112, 112), 2)}


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("geometry", SHAPES)
@pytest.mark.parametrize("kind", ["forward", "training"])
def test_passes(against, make_bare, kind, geometry, precision):
    name, shape, batch = SHAPES[geometry]
    bare = make_bare(shape, name, batch)
    network = to_judge(bare.network, precision)
    labels = torch.zeros(batch, dtype=torch.int64)

    def forward():
        with torch.no_grad():
            network(bare.clips)

    def train():
        torch.nn.functional.cross_entropy(network(bare.clips), labels).backward()

    counts = {"forwards": batch} if kind == "forward" else {"trainings": batch}
    against(forward if kind == "forward" else train, bare, **counts, clips=batch)


@pytest.mark.parametrize("geometry", SHAPES)
def test_plain_forward(beside, make_bare, geometry):
    """Float32 in the plain order of memory and layers; its share is what the same pass in bf16 takes of it, as the suite does it."""
    name, shape, batch = SHAPES[geometry]
    bare = make_bare(shape, name, batch)
    network, plain = to_judge(bare.network, "bf16"), stack(name, shape.channels)
    clips = bare.clips.contiguous()

    def forward(module, given):
        with torch.no_grad():
            module(given)

    beside(lambda: forward(plain, clips), lambda: forward(network, bare.clips), rounds=10, clips=batch)


@pytest.mark.parametrize("geometry", SHAPES)
def test_plain_gradient_in_clips(beside, make_bare, geometry):
    """Forward and back to the clips, weights fixed, as matching learns them; its share is what the suite's networks take of it."""
    name, shape, batch = SHAPES[geometry]
    bare = make_bare(shape, name, batch)
    network, plain = bare.network.requires_grad_(False), stack(name, shape.channels).requires_grad_(False)

    def gradient(features, given):
        clips = given.detach().requires_grad_(True)
        torch.autograd.grad(features(clips).square().sum(), [clips])

    beside(
        lambda: gradient(plain, bare.clips.contiguous()), lambda: gradient(network.features, bare.clips),
        rounds=10, clips=batch,
    )  # fmt: skip


@pytest.mark.parametrize("geometry", ["quick", "published"])
def test_every_frame_of_clips_that_stand_still(beside, make_bare, geometry):
    """A forward pass; its share is what the pass takes that computes equal frames once."""
    name, shape, batch = SHAPES[geometry]
    bare = make_bare(shape, name, batch)
    still = repeat_frame(bare.clips[:, :, :1], shape.frames)
    whole = bare.clips.copy_(still)

    def forward(given):
        with torch.no_grad():
            bare.network(given)

    beside(lambda: forward(whole), lambda: forward(still), rounds=10, clips=batch)


def test_new_network(benchmark, registries):
    """Drawing the 3.6 million weights of ConvNet3D, as each step of DM does."""
    kind = registries.networks.get("convnet3d")()
    benchmark.pedantic(lambda: kind.build(50, ClipShape(3, 16, 112, 112), generator("n")), rounds=5, warmup_rounds=1)
    if benchmark.stats is not None:
        benchmark.extra_info.update(seconds=benchmark.stats.stats.min)


def test_training_on_a_set(against, make_bare):
    """Twenty updates of twelve clips: what judging a small set is made of."""
    bare = make_bare(batch=12, classes=12)
    data = DenseSet(bare.clips, torch.arange(12))
    recipe = Recipe(epochs=20, batch=64, lr=0.03)

    def train():
        device, rng = torch.device("cpu"), generator("order")
        training.train(bare.network, data, recipe, device, rng, rng, lambda *_: None)

    against(train, bare, trainings=20 * 12)


def test_testing(against, make_bare):
    """600 test clips, as kept in memory."""
    bare = make_bare(classes=12)

    class Source(training.Clips):
        labels = torch.arange(600) % 12

        def views(self):
            return 1

        def batch(self, index, view):
            return bare.clips[index % len(bare.clips)]

    clips = CachedClips(Source(), torch.contiguous_format)
    against(lambda: training.test(bare.network, clips, 12), bare, forwards=600)
