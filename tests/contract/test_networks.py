"""What every registered network must hold to."""

from __future__ import annotations

import copy
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from bench import plugins
from bench.api import ClipShape
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.nets.flops import flops

REGISTRY = plugins.load().networks
SMALL = ClipShape(3, 4, 16, 16)
PYTORCHVIDEO = {
    "x3d_xs": ClipShape(3, 2, 32, 32),
    "slow_r50": ClipShape(3, 2, 32, 32),
    "r2plus1d_r50": ClipShape(3, 5, 32, 32),
    "csn": ClipShape(3, 2, 32, 32),
    "mvit": ClipShape(3, 2, 32, 32),
}
SHAPES = {"convnet3d": ClipShape(3, 8, 64, 64)} | PYTORCHVIDEO


@pytest.fixture(scope="module", params=REGISTRY.names())
def name(request):
    """Of the module's scope, so that pytest does all that there is to test of one network before the next."""
    return request.param


@pytest.fixture(scope="module")
def built(name):
    """One network for all tests; some take a second to build."""
    return build(name, 0)


@pytest.fixture
def network(built):
    """A copy to do anything with. Residual branches that start closed, by a last norm of zeros, are opened."""
    network = copy.deepcopy(built)
    for layer in network.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._NormBase) and not layer.weight.any():
            torch.nn.init.ones_(layer.weight)
    return network


def build(name, *key, classes=5):
    return REGISTRY.get(name)().build(classes, SHAPES.get(name, SMALL), generator("network", *key)).eval()


def clips(name, count=2):
    return torch.randn(count, *SHAPES.get(name, SMALL).dims(), generator=generator("clips"))


def test_logits_and_features_have_their_shapes(name, network):
    x = clips(name)
    assert network(x).shape == (2, 5)
    features = network.features(x)
    assert features.dim() == 2
    assert len(features) == 2
    assert bool(torch.isfinite(network(x)).all())
    assert network(x).dtype == torch.float32


def test_the_last_layer_reads_the_embedding(name, network):
    x = clips(name)
    read = []
    network.head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].flatten(1)))
    network(x)
    assert torch.equal(network.embedding(x), read[0])


def test_clips_of_a_batch_do_not_influence_each_other(name, network):
    # In float64: kernels for one clip and for three add up in other orders, and 50 layers make that visible in float32.
    x, network = clips(name, 3).double(), network.double()
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network.features(x)[2:], network.features(x[2:]), rtol=1e-9, atol=1e-9)


def test_weights_and_dropout_are_a_function_of_the_generator_alone_and_the_global_ones_are_left_alone(name, built):
    torch.manual_seed(2)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    again, other = build(name, 0), build(name, 1)
    one, two, three = built.state_dict(), again.state_dict(), other.state_dict()
    weights = [key for key, value in one.items() if value.dim() > 1]
    assert weights
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert all(not torch.equal(one[key], three[key]) for key in weights)
    trained = again.train()(clips(name))
    trained.sum().backward()
    assert torch.equal(copy.deepcopy(built).train()(clips(name)), trained)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_one_clip_is_enough_for_an_update(name, network):
    """A batch's last part may hold one; what normalises over a batch then has time and space alone."""
    torch.nn.functional.cross_entropy(network.train()(clips(name, 1)), torch.tensor([0])).backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in network.parameters())


def test_the_memory_format_of_clips_does_not_matter(name, network):
    x = clips(name)
    for same in (x.contiguous(memory_format=torch.channels_last_3d), x.transpose(1, 2).contiguous().transpose(1, 2)):
        assert same.stride() != x.stride()
        torch.testing.assert_close(network(same), network(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.features(same), network.features(x), rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_clips_and_every_parameter(name, network):
    x = clips(name).requires_grad_(True)
    torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1])).backward()
    assert bool((x.grad != 0).any())
    assert all(parameter.grad is not None and bool((parameter.grad != 0).any()) for parameter in network.parameters())


def test_the_order_of_frames_matters_unless_the_name_says_mean(name, network):
    x = clips(name)
    assert torch.allclose(network(x.flip(2)), network(x), rtol=1e-3, atol=1e-4) == ("-mean" in name)


def test_clips_that_are_too_small_are_refused_in_a_sentence(name):
    with pytest.raises(BenchError, match=f"network '{name}' needs clips of at least"):
        REGISTRY.get(name)().build(5, ClipShape(3, 2, 4, 4), generator("x"))


def test_the_flops_are_those_of_the_layers_it_runs(name, network):
    """An oracle of its own: multiply-adds of each convolution, linear and recurrent layer, counted as it is called."""
    counted = [0]

    def count(layer, inputs, output):
        if isinstance(layer, torch.nn.RNNBase):
            matrices = sum(weight.numel() for weight in layer.parameters() if weight.dim() > 1)
            counted[0] += 2 * inputs[0].shape[0] * inputs[0].shape[1] * matrices
        else:
            counted[0] += 2 * output.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear | torch.nn.RNNBase):
            layer.register_forward_hook(count)
    network(clips(name, 1))
    planned = flops(REGISTRY.get(name)(), 5, SHAPES.get(name, SMALL))
    assert planned == pytest.approx(counted[0], rel=0.02)


def test_pytorchvideo_needs_no_torchvision_that_works_and_leaves_nothing_in_its_place(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms')")
    script = """
import sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, ".")
from bench.nets.pytorchvideo_models import _models
_models("x3d")
print([name for name in sys.modules if name.partition(".")[0] == "torchvision"])
"""
    assert printed(script, tmp_path) == "[]"


def test_a_torchvision_that_works_is_the_one_that_is_used(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    (tmp_path / "torchvision" / "ops.py").write_text("class RoIAlign: pass")
    script = """
import sys
sys.path.insert(0, ".")
from bench.nets.pytorchvideo_models import _models
head = sys.modules[_models("resnet").create_res_basic_head.__module__]
print(head.RoIAlign.__module__, "torchvision.ops" in sys.modules)
"""
    assert printed(script, tmp_path) == "torchvision.ops True"


def printed(script, folder):
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
