"""Temporal probes: which frame stands where, and that nothing else changes."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.api import Clips
from bench.core.frame_order import PROBES, frozen_order, half_rate_order, rearrange, reversed_order, shuffled_order
from bench.core.rng import generator
from bench.judging.frozen import FrozenSet
from bench.judging.probes import probed
from bench.sets.dense import DenseSet


class Numbered(Clips):
    """Clip i shows ``100 i + 10 view + t`` at time t."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.labels = torch.tensor([3, 1, 2])

    def views(self) -> int:
        return 2

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        values = 100.0 * index[:, None] + 10 * view + torch.arange(self.frames)
        return values[:, None, :, None, None].expand(-1, 2, -1, 3, 3).contiguous()


def test_the_orders_are_these() -> None:
    assert reversed_order(5) == [4, 3, 2, 1, 0]
    assert [frozen_order(5), frozen_order(4), frozen_order(1)] == [[2] * 5, [2] * 4, [0]]
    assert [half_rate_order(6), half_rate_order(5)] == [[0, 0, 2, 2, 4, 4], [0, 0, 2, 2, 4]]


@pytest.mark.parametrize("frames", range(1, 17))
def test_a_shuffled_clip_shows_every_frame_once_and_hardly_any_of_the_movement(frames: int) -> None:
    orders = [shuffled_order(frames, generator("shuffle", seed)) for seed in range(20)]
    for order in orders:
        assert sorted(order) == list(range(frames))
        if frames > 1:
            assert all(source != t for t, source in enumerate(order))
        if frames > 2:
            assert order != reversed_order(frames)
        if frames > 3:
            assert all(abs(after - before) != 1 for before, after in itertools.pairwise(order))


def test_all_orders_that_may_come_out_do() -> None:
    wanted = {
        order
        for order in itertools.permutations(range(6))
        if all(source != t for t, source in enumerate(order))
        and all(abs(after - before) != 1 for before, after in itertools.pairwise(order))
    }
    assert {tuple(shuffled_order(6, generator("all", seed))) for seed in range(1000)} == wanted


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_rearranging_takes_whole_frames_and_keeps_the_layout(layout: torch.memory_format) -> None:
    clips = torch.randn(2, 3, 4, 5, 6, generator=generator("clips")).contiguous(memory_format=layout)
    order = [2, 2, 0, 3]
    found = rearrange(clips, order)
    for t, source in enumerate(order):
        assert torch.equal(found[:, :, t], clips[:, :, source])
    assert found.is_contiguous(memory_format=layout)


def test_every_probe_shows_the_right_frames_of_every_clip_and_window() -> None:
    clips = Numbered(6)
    altered = probed(clips, 1)
    orders = {
        "shuffled": shuffled_order(6, generator("evaluation", "shuffle", 1)),
        "reversed": [5, 4, 3, 2, 1, 0],
        "frozen": [3] * 6,
        "half-rate": [0, 0, 2, 2, 4, 4],
    }
    assert tuple(altered) == PROBES == tuple(orders)
    for name, order in orders.items():
        batch = altered[name].batch(torch.tensor([2, 0]), 1)
        assert batch[0, 0, :, 0, 0].tolist() == [210 + t for t in order]
        assert batch[1, 1, :, 2, 1].tolist() == [10 + t for t in order]
        assert altered[name].views() == 2
        assert altered[name].labels.tolist() == [3, 1, 2]


def test_the_shuffled_order_belongs_to_the_network_alone() -> None:
    index = torch.tensor([0])
    one, again, other = (probed(Numbered(8), number)["shuffled"].batch(index, 0) for number in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_frozen_set_shows_the_middle_frame_of_what_the_set_renders() -> None:
    clips = torch.randn(4, 3, 6, 5, 5, generator=generator("set"))
    frozen = FrozenSet(DenseSet(clips, torch.tensor([0, 1, 1, 0])))
    rendered = frozen.render(torch.tensor([3, 1]), generator("render"))
    for t in range(6):
        assert torch.equal(rendered[:, :, t], clips[[3, 1]][:, :, 3])
    assert (len(frozen), frozen.labels.tolist()) == (4, [0, 1, 1, 0])
