"""The max-pool of the small network gives what PyTorch's own gives, in values and in gradients of both orders."""

from __future__ import annotations

import pytest
import torch

from bench.core.rng import generator
from bench.nets.layers import HalvingMaxPool


def maps(shape, levels):
    """Maps of few levels have many equal values, whose gradient must go to the first of each window."""
    drawn = torch.randn(shape, generator=generator("maps"))
    return drawn if levels is None else (drawn * levels).round() / levels


@pytest.mark.parametrize("levels", [None, 1, 0.01])
@pytest.mark.parametrize("size", [(4, 6, 8), (3, 5, 7), (2, 2, 3)])
@pytest.mark.parametrize("time", [1, 2])
def test_values_and_gradients_are_those_of_pytorch(time, size, levels):
    x = maps((2, 3, *size), levels).requires_grad_(True)
    ours, theirs = HalvingMaxPool(time)(x), torch.nn.functional.max_pool3d(x, (time, 2, 2))
    assert torch.equal(ours, theirs)
    upstream = torch.randn(ours.shape, generator=generator("upstream"))
    assert torch.equal(torch.autograd.grad(ours, x, upstream)[0], torch.autograd.grad(theirs, x, upstream)[0])
    with torch.no_grad():
        assert torch.equal(HalvingMaxPool(time)(x), theirs)


def test_the_gradient_can_be_differentiated():
    x = maps((1, 2, 4, 4, 4), None).double().requires_grad_(True)
    assert torch.autograd.gradgradcheck(lambda y: HalvingMaxPool(2)(y) ** 2, (x,))


def test_channels_last_maps_are_pooled_alike():
    x = maps((2, 3, 4, 6, 6), None)
    last = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(HalvingMaxPool(2)(last), HalvingMaxPool(2)(x))
