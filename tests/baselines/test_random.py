"""The controls of `random`: the very clips that it chooses, with less of their time."""

from __future__ import annotations

import torch
from bench.baselines.random import Random
from bench.baselines.random_frozen import RandomFrozen
from bench.baselines.random_shuffled import RandomShuffled

from bench.api import NoOptions
from bench.core.rng import generator
from bench.running.cell.costs import count_set
from tests.oracle.fake_task import FakeTask

EVERY = torch.arange(6)


def test_random_frozen_shows_the_middle_frames_of_randoms_clips_at_a_share_of_the_bytes() -> None:
    task = FakeTask(classes=3, per_class=5, ipc=2)
    clips, frozen = Random(NoOptions()).distill(task), RandomFrozen(NoOptions()).distill(task)
    expected = clips.render(EVERY, generator("r"))[:, :, 2:3].expand(-1, -1, 4, -1, -1)
    assert torch.equal(frozen.render(EVERY, generator("r")), expected)
    assert torch.equal(frozen.labels, clips.labels)
    assert 4 * count_set(frozen, None).storage_bytes == count_set(clips, None).storage_bytes


def test_random_shuffled_holds_the_frames_of_randoms_clips_out_of_order() -> None:
    task = FakeTask(classes=3, per_class=5, ipc=2)
    clips, shuffled = Random(NoOptions()).distill(task), RandomShuffled(NoOptions()).distill(task)
    orders = []
    for before, after in zip(clips.tensors()["clips"], shuffled.tensors()["clips"], strict=True):
        order = [next(s for s in range(4) if torch.equal(before[:, s], after[:, t])) for t in range(4)]
        assert order in ([1, 3, 0, 2], [2, 0, 3, 1])  # the only two without a neighbour beside its neighbour
        orders.append(order)
    assert orders.count(orders[0]) < len(orders)
    assert torch.equal(shuffled.labels, clips.labels)
    assert count_set(shuffled, None) == count_set(clips, None)
