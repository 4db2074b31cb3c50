"""The first convolution's own gradient is PyTorch's, of both orders."""

from __future__ import annotations

import pytest
import torch

from bench.core.rng import generator
from bench.nets.layers import initialise
from bench.nets.stem import Stem


def new(kernel):
    stem = Stem(3, 4, kernel)
    initialise(stem, generator("weights"))
    return stem


def drawn(*shape):
    return torch.randn(shape, generator=generator("stem", *shape), dtype=torch.float64)


@pytest.mark.parametrize("size", [(3, 8, 6), (1, 2, 2), (4, 10, 4)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 7, 7), (1, 5, 5), (1, 1, 1)])
def test_gradients_of_both_orders_are_those_of_pytorch(kernel, size):
    stem = new(kernel).double().requires_grad_(False)
    clips = drawn(2, 3, *size).requires_grad_(True)
    found = []
    for convolve in (stem, super(Stem, stem).forward):
        out = convolve(clips)
        (first,) = torch.autograd.grad(out.pow(3).sum(), clips, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), clips)
        found.append([out, first, second])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10 * float(theirs.detach().abs().max()))


def test_what_a_gradient_by_phases_is_not_for_goes_the_plain_way():
    """Weights that are followed, too."""
    stem = new((3, 3, 3))
    out = stem(drawn(1, 3, 2, 4, 4).float().requires_grad_(True))
    assert "Convolution" in type(out.grad_fn).__name__
    assert type(out.grad_fn).__name__ != "_ConvolutionBackward"
    stem.requires_grad_(False)
    assert type(stem(drawn(1, 3, 2, 4, 4).float().requires_grad_(True)).grad_fn).__name__ == "_ConvolutionBackward"


def test_odd_sides_go_the_plain_way():
    stem = new((3, 3, 3)).double().requires_grad_(False)
    clips = drawn(1, 3, 2, 5, 7).requires_grad_(True)
    ours = torch.autograd.grad(stem(clips).square().sum(), clips)[0]
    theirs = torch.autograd.grad(super(Stem, stem).forward(clips).square().sum(), clips)[0]
    assert torch.equal(ours, theirs)
