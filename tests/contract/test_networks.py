"""What every registered network must hold to."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from bench import plugins
from bench.api import ClipShape
from bench.errors import BenchError
from bench.rng import generator

REGISTRY = plugins.load().networks
SHAPES = {"convnet3d": ClipShape(3, 8, 64, 64)}
SMALL = ClipShape(3, 4, 16, 16)

pytestmark = pytest.mark.parametrize("name", REGISTRY.names())


def build(name, *key, classes=5):
    return REGISTRY.get(name)().build(classes, SHAPES.get(name, SMALL), generator("network", *key)).eval()


def clips(name, count=2):
    return torch.randn(count, *SHAPES.get(name, SMALL).dims(), generator=generator("clips"))


def test_logits_and_features_have_their_shapes(name):
    network = build(name)
    x = clips(name)
    assert network(x).shape == (2, 5)
    features = network.features(x)
    assert features.dim() == 2
    assert len(features) == 2
    assert bool(torch.isfinite(network(x)).all())
    assert network(x).dtype == torch.float32


def test_clips_of_a_batch_do_not_influence_each_other(name):
    network = build(name)
    x = clips(name, 3)
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.features(x)[2:], network.features(x[2:]), rtol=1e-4, atol=1e-5)


def test_weights_are_a_function_of_the_generator_alone(name):
    torch.manual_seed(1)
    one = build(name, 0).state_dict()
    torch.manual_seed(2)
    again = build(name, 0).state_dict()
    other = build(name, 1).state_dict()
    assert all(torch.equal(one[key], again[key]) for key in one)
    weights = [key for key, value in one.items() if value.dim() > 1]
    assert weights
    assert all(not torch.equal(one[key], other[key]) for key in weights)


def test_the_global_generators_are_left_alone(name):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    network = build(name).train()
    network(clips(name)).sum().backward()
    after = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


def test_training_mode_repeats_itself_from_the_same_generator(name):
    x = clips(name)
    assert torch.equal(build(name).train()(x), build(name).train()(x))


def test_the_memory_format_of_clips_does_not_matter(name):
    network = build(name)
    x = clips(name)
    for same in (x.contiguous(memory_format=torch.channels_last_3d), x.transpose(1, 2).contiguous().transpose(1, 2)):
        assert same.stride() != x.stride()
        torch.testing.assert_close(network(same), network(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.features(same), network.features(x), rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_clips_and_every_parameter(name):
    network = build(name)
    x = clips(name).requires_grad_(True)
    torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1])).backward()
    assert bool((x.grad != 0).any())
    assert all(parameter.grad is not None and bool((parameter.grad != 0).any()) for parameter in network.parameters())


def test_the_order_of_frames_matters_unless_the_name_says_mean(name):
    network = build(name)
    x = clips(name)
    assert torch.allclose(network(x.flip(2)), network(x), rtol=1e-3, atol=1e-4) == ("-mean" in name)


def test_clips_that_are_too_small_are_refused_in_a_sentence(name):
    with pytest.raises(BenchError, match=f"network '{name}' needs clips of at least"):
        REGISTRY.get(name)().build(5, ClipShape(3, 2, 4, 4), generator("x"))


def test_the_flops_are_those_of_the_convolutions_it_runs(name):
    """An oracle of its own: multiply-adds of each convolution and linear layer, counted as it is called."""
    counted = [0]

    def count(layer, _, output):
        counted[0] += 2 * output.numel() * layer.weight[0].numel()

    network = build(name)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear):
            layer.register_forward_hook(count)
    network(clips(name, 1))
    planned = REGISTRY.get(name)().flops(5, SHAPES.get(name, SMALL))
    assert planned == pytest.approx(counted[0], rel=0.02)
