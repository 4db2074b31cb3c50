"""The table of what networks keep: what is counted now, and what is taken for networks and clips that it does not list."""

from __future__ import annotations

import dataclasses

import pytest

from bench import plugins
from bench.api import ClipShape
from bench.nets import memory
from bench.nets.flops import SHAPES
from bench.testing import pretend
from bench.testing.memory import count

NETWORKS = plugins.load().networks
SMALL = ClipShape(3, 8, 32, 32)
LISTED = [
    ("convnet3d-small", SMALL),
    ("convnet3d", SHAPES[1]),
    ("cnn-mean-small", SMALL),
    *(pytest.param(name, SHAPES[-1], marks=pytest.mark.slow) for name in ("cnn-lstm", "x3d_xs", "mvit", "slow_r50")),
]


@pytest.mark.skipif(pretend.missing() is not None, reason=str(pretend.missing()))
@pytest.mark.parametrize(("name", "clip"), LISTED)
def test_the_table_says_what_is_counted(name, clip):
    network = NETWORKS.get(name)()
    listed, counted = memory.kept(network, clip), count(network, clip)
    assert (listed.body, listed.each_class) == (counted.body, counted.each_class)
    for field in ("forward", "through", "training"):
        assert getattr(listed, field) == pytest.approx(getattr(counted, field), rel=0.06)
    assert listed.double == pytest.approx(counted.double, rel=0.5)  # its peak moves with the order in which tensors go


def test_every_network_of_the_suite_is_listed():
    own = {kind.name for _, kind in NETWORKS if kind.__module__.startswith("bench.")}
    assert own == {name for name, _ in memory._table()}


def test_weights_are_those_of_the_published_network():
    kept = memory.kept(NETWORKS.get("convnet3d")(), SHAPES[-1])
    assert kept.weights(50) == 4 * 3_647_666


def test_clips_that_are_not_listed_keep_as_much_a_number():
    network = NETWORKS.get("convnet3d-small")()
    listed = memory.kept(network, SMALL)
    longer = memory.kept(network, dataclasses.replace(SMALL, frames=12))
    assert longer.training == round(1.5 * listed.training)
    assert longer.body == listed.body


def test_a_network_that_is_not_listed_is_taken_for_a_hungry_one():
    class Other:
        name = "other"

    hungry = memory.kept(Other(), SHAPES[-1])
    assert hungry.training == max(
        memory.kept(kind(), SHAPES[-1]).training for _, kind in NETWORKS if kind.__module__.startswith("bench.")
    )
