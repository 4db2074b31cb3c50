"""Operations of a forward pass: from the suite's table, from the cache folder, or counted."""

from __future__ import annotations

import json

import pytest
import torch

from bench.api import ClipShape, Network
from bench.nets import flops as flops_module
from bench.nets.described.convnets import ConvNet3DNetwork, SmallConvNet3DNetwork
from bench.nets.flops import SHAPES, TABLE, count, flops, suite_table
from bench.nets.layers import Conv3d, Linear

CLIP = ClipShape(3, 4, 16, 16)


class Pooled(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.head = Conv3d(3, 8, 3, padding=1), Linear(8, classes)

    def forward(self, clips):
        return self.head(self.conv(clips).mean(dim=(2, 3, 4)))


class Counted(Network):
    name = "counted"
    builds = 0

    def build(self, classes, clip, rng):
        type(self).builds += 1
        return Pooled(classes)


class Broken(Network):
    name = "broken"

    def build(self, classes, clip, rng):
        raise RuntimeError("no such layer")


class Declining(Network):
    name = "declining"

    def build(self, classes, clip, rng):
        raise AssertionError("never asked")

    def declines(self, clip):
        return "too small"


class Stated(Network):
    name = "stated"

    def build(self, classes, clip, rng):
        raise AssertionError("never asked")

    def flops(self, classes, clip):
        return 12.0 * classes


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    Counted.builds = 0
    return tmp_path / "flops.json"


@pytest.mark.slow
def test_the_table_of_the_suite_is_what_is_counted():
    assert TABLE.read_text() == suite_table(), "python -m bench.nets.flops > bench/nets/flops.json"


@pytest.mark.parametrize("kind", [SmallConvNet3DNetwork, ConvNet3DNetwork])
def test_the_table_holds_what_is_counted_of_the_networks_of_the_profiles(kind):
    """Those that plans ask for all the time; the slow test counts every network."""
    listed = json.loads(TABLE.read_text())
    for clip in SHAPES:
        if kind().declines(clip) is None:
            assert listed[f"{kind.name} {'x'.join(map(str, clip.dims()))}"] == list(count(kind(), clip))


def test_a_convolution_and_a_linear_layer_are_counted_for_any_number_of_classes():
    for classes in (1, 7, 400):
        assert flops(Counted(), classes, CLIP) == 2 * (27 * 3 * 8 * 4 * 16 * 16 + 8 * classes)


def test_what_was_counted_is_kept_for_other_processes_and_a_damaged_file_is_written_anew(cache):
    figure = flops(Counted(), 5, CLIP)
    assert Counted.builds == 2
    for text in (cache.read_text(), "{", "[]", '{"counted": 1}'):
        cache.write_text(text)
        flops_module._operations.cache_clear()  # as in another process
        assert flops(Counted(), 5, CLIP) == figure
        assert json.loads(cache.read_text())
    assert Counted.builds == 8  # not again for the first text


def test_what_the_table_knows_builds_nothing_and_leaves_no_file(cache, monkeypatch):
    monkeypatch.setattr(SmallConvNet3DNetwork, "build", None)
    assert flops(SmallConvNet3DNetwork(), 4, ClipShape(3, 8, 32, 32)) > 1e7
    assert not cache.exists()


def test_a_network_that_states_its_operations_is_believed(cache):
    assert flops(Stated(), 3, CLIP) == 36
    assert not cache.exists()


@pytest.mark.parametrize("network", [Broken(), Declining()])
def test_a_network_that_cannot_be_built_counts_nothing_and_stops_no_plan(network, cache):
    assert flops(network, 3, CLIP) == 0
    assert not cache.exists()
