"""Networks are drawn by a counter: SplitMix64 as published, uniform numbers, the same ones in any order and on any device."""

from __future__ import annotations

import pytest
import scipy.stats
import torch

from bench.api import ClipShape
from bench.core.rng import generator
from bench.nets import counter
from bench.nets.described.convnets import ConvNet3DNetwork, SmallConvNet3DNetwork
from bench.nets.layers import build_on

CPU = torch.device("cpu")
GPU = pytest.param(torch.device("cuda"), marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))


def splitmix64(seed):
    """The algorithm of the paper, in whole numbers of 64 bits."""
    mask = (1 << 64) - 1
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        yield mixed ^ (mixed >> 31)


@pytest.mark.parametrize("key", [0, 1234567, (1 << 63) - 1])
def test_words_are_splitmix64s(key):
    reference = splitmix64(key)
    expected = [next(reference) for _ in range(100)]
    assert [word % (1 << 64) for word in counter.words(key, 0, 100, CPU).tolist()] == expected
    assert [word % (1 << 64) for word in counter.words(key, 37, 5, CPU).tolist()] == expected[37:42]


def test_numbers_are_the_upper_24_bits_of_each_half_word():
    word = next(splitmix64(5))
    halves = [half - (1 << 32) if half >> 31 else half for half in (word & 0xFFFFFFFF, word >> 32)]
    assert counter.symmetric(5, 2, CPU).tolist() == [(half >> 8) / 2**23 for half in halves]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 2 * counter._PIECE, 2 * counter._PIECE + 1, 5 * counter._PIECE + 3])
def test_fewer_numbers_are_the_first_of_more(count):
    """Across the pieces that a CPU takes."""
    longest = counter.symmetric(9, 6 * counter._PIECE, CPU)
    assert torch.equal(counter.symmetric(9, count, CPU), longest[:count])


def test_numbers_are_uniform_and_keys_have_nothing_to_do_with_each_other():
    first, second = (counter.symmetric(key, 1 << 20, CPU).double() for key in (1, 2))
    assert scipy.stats.kstest(first.numpy(), "uniform", (-1, 2)).pvalue > 1e-3
    correlations = [
        float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in ((first, second), (first[1:], first[:-1]))
    ]
    assert max(map(abs, correlations)) < 5e-3  # five standard deviations


@pytest.mark.parametrize("device", [GPU])
def test_a_gpu_draws_the_same_numbers(device):
    assert torch.equal(counter.symmetric(3, 100_001, device).cpu(), counter.symmetric(3, 100_001, CPU))


@pytest.mark.parametrize("kind", [ConvNet3DNetwork(), SmallConvNet3DNetwork()])
@pytest.mark.parametrize("device", [torch.device("meta"), GPU])
def test_a_network_is_drawn_where_it_is_built(kind, device, monkeypatch):
    clip = ClipShape(3, 8, 64, 64)
    asked = []
    drawn = counter.symmetric
    monkeypatch.setattr(counter, "symmetric", lambda *args: asked.append(args[2]) or drawn(*args))
    there = build_on(device, kind, 5, clip, generator("n"))
    assert asked == [device]
    assert all(parameter.device.type == device.type for parameter in there.parameters())
    here = kind.build(5, clip, generator("n"))
    assert asked == [device, CPU]  # what was asked for is over
    for ours, theirs in zip(here.parameters(), there.parameters(), strict=True):
        assert ours.shape == theirs.shape
        assert device.type == "meta" or torch.equal(ours, theirs.cpu())


def test_two_networks_of_one_generator_differ():
    rng = generator("n")
    first, second = (SmallConvNet3DNetwork().build(5, ClipShape(3, 8, 32, 32), rng) for _ in range(2))
    assert not torch.equal(first.head.weight, second.head.weight)
