"""The published network: parameter count, shapes, and what it computes, written out with functional calls."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.api import ClipShape
from bench.core.rng import generator
from bench.nets.convnet3d import ConvNet3D
from bench.nets.described.convnets import ConvNet3DNetwork, SmallConvNet3DNetwork
from bench.nets.described.pytorchvideo import X3DNetwork
from bench.nets.flops import flops
from bench.nets.layers import SeededDropout, initialise
from bench.nets.recurrent import FrameRecurrentNet


def test_convnet3d_has_the_published_number_of_parameters() -> None:
    network = ConvNet3D(50, ClipShape(3, 16, 112, 112), generator("n"))
    assert sum(p.numel() for p in network.parameters()) == 3_647_666


@pytest.mark.parametrize(("shape", "pool"), [((3, 16, 112, 112), (2, 2, 2)), ((3, 8, 64, 64), (2, 1, 1))])
def test_convnet3d_computes_what_facts_say(shape: tuple[int, int, int, int], pool: tuple[int, int, int]) -> None:
    network = ConvNet3D(7, ClipShape(*shape), generator("n")).eval()
    clips = torch.randn(2, *shape, generator=generator("x"))
    x = clips
    convs = [layer for layer in network.modules() if isinstance(layer, nn.Conv3d)]
    for conv, window in zip(convs[:3], ((1, 2, 2), (2, 2, 2), (2, 2, 2)), strict=True):
        assert conv.weight.shape[2:] == (3, 7, 7)
        x = functional.max_pool3d(
            functional.relu(functional.conv3d(x, conv.weight, conv.bias, (1, 2, 2), (1, 3, 3))), window
        )
    torch.testing.assert_close(network.features(clips), x.flatten(1), rtol=1e-4, atol=1e-5)
    head = convs[3]
    maps = functional.conv3d(functional.avg_pool3d(x, pool, stride=1), head.weight, head.bias)
    torch.testing.assert_close(network(clips), maps.amax(dim=2).flatten(1), rtol=1e-4, atol=1e-5)


def test_the_order_of_max_and_flattening_does_not_matter_as_space_is_gone() -> None:
    network = ConvNet3D(7, ClipShape(3, 16, 112, 112), generator("n")).eval()
    maps = network.pool(network.stack(torch.randn(1, 3, 16, 112, 112, generator=generator("x"))))
    assert tuple(maps.shape[3:]) == (1, 1)


@pytest.mark.parametrize("network", [ConvNet3DNetwork(), SmallConvNet3DNetwork()])
def test_planned_flops_are_those_of_the_convolutions(network: ConvNet3DNetwork | SmallConvNet3DNetwork) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    clip = ClipShape(3, 8, 64, 64)
    built = network.build(10, clip, generator("n")).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built(torch.randn(1, *clip.dims(), generator=generator("x")))
    assert flops(network, 10, clip) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_initialisation_is_pytorchs_own_distribution() -> None:
    ours, theirs = nn.Conv3d(3, 64, (3, 7, 7)), nn.Conv3d(3, 64, (3, 7, 7))
    initialise(ours, generator("init"))
    for mine, reference in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert mine.abs().max().item() == pytest.approx(reference.abs().max().item(), rel=0.1)
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.05)


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    layer = SeededDropout(0.5, generator("mask"))
    ones = torch.ones(100_000)
    dropped = layer(ones)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(layer.eval()(ones), ones)


def test_cnn_gru_has_the_published_sizes() -> None:
    """128 maps of 8x8 are 8192 inputs of a GRU with an eighth as many units."""
    network = FrameRecurrentNet(50, ClipShape(3, 16, 112, 112), 128, "gru", generator("n"))
    encoder = (3 * 9 + 1 + 2) * 128 + 2 * (128 * 9 + 1 + 2) * 128
    assert sum(p.numel() for p in network.stack.parameters()) == encoder
    assert (network.recurrent.input_size, network.recurrent.hidden_size) == (8192, 1024)
    assert network.head.weight.shape == (50, 1024)


@pytest.mark.parametrize(("cell", "units"), [("gru", 64), ("lstm", 512)])
def test_recurrent_networks_compute_what_facts_say(cell: str, units: int) -> None:
    """Step by step over the frames from zeros, outputs averaged over time; of larger frames the centre alone counts."""
    network = FrameRecurrentNet(7, ClipShape(3, 5, 16, 16), 128, cell, generator("n")).eval()
    clips = torch.randn(2, 3, 5, 16, 16, generator=generator("x"))
    step = (nn.GRUCell if cell == "gru" else nn.LSTMCell)(512, units)
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in network.recurrent.state_dict().items()})
    state, outputs = None, []
    for frame in clips.unbind(dim=2):
        for conv, norm in zip(network.stack[0::4], network.stack[1::4], strict=True):
            frame = functional.conv2d(frame, conv.weight, conv.bias, padding=1)
            frame = functional.instance_norm(frame, weight=norm.weight, bias=norm.bias)
            frame = functional.avg_pool2d(functional.relu(frame), 2)
        state = step(frame.flatten(1), state)
        outputs.append(state if cell == "gru" else state[0])
    expected = functional.linear(torch.stack(outputs).mean(dim=0), network.head.weight, network.head.bias)
    torch.testing.assert_close(network(clips), expected, rtol=1e-4, atol=1e-5)


def test_recurrent_networks_see_the_centre_of_large_frames() -> None:
    network = FrameRecurrentNet(3, ClipShape(3, 2, 72, 70), 8, "gru", generator("n")).eval()
    clips = torch.randn(1, 3, 2, 72, 70, generator=generator("x"))
    small = FrameRecurrentNet(3, ClipShape(3, 2, 64, 64), 8, "gru", generator("n")).eval()
    torch.testing.assert_close(network(clips), small(clips[:, :, :, 4:68, 3:67]))


def test_x3d_xs_has_the_published_number_of_parameters() -> None:
    """3.79 million at 400 classes (PyTorchVideo's model zoo)."""
    network = X3DNetwork().build(400, ClipShape(3, 4, 160, 160), generator("n"))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(3.79e6, rel=2e-3)
