"""The published network: parameter count, shapes, and what it computes, written out with functional calls."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.api import ClipShape
from bench.nets.convnet3d import ConvNet3D
from bench.nets.layers import SeededDropout, initialise
from bench.nets.registry import ConvNet3DNetwork, SmallConvNet3DNetwork
from bench.rng import generator


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
    assert network.flops(10, clip) == pytest.approx(counter.get_total_flops(), rel=0.01)


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
