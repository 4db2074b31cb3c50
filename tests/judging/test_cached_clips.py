"""Clips kept in memory while networks are judged: the same numbers, computed once."""

from __future__ import annotations

import pytest
import torch

from bench.api import Clips
from bench.core.repeated_frames import repeats_one_frame
from bench.core.rng import generator
from bench.judging import cached_clips
from bench.judging.frozen import FrozenSet
from bench.sets.keyframes import KeyframeSet
from bench.sets.transient import UnarchivedSet

PLAIN, LAST = torch.contiguous_format, torch.channels_last_3d


class Counting(Clips):
    """Two windows of 70 clips; counts what it is asked for."""

    def __init__(self):
        self.labels = torch.arange(70) % 3
        self.clips = torch.randn(2, 70, 3, 4, 2, 2, generator=generator("clips"))
        self.asked = 0

    def views(self):
        return 2

    def batch(self, index, view):
        self.asked += len(index)
        return self.clips[view][index]


class Jittered(UnarchivedSet):
    """Draws a shift for each clip that it renders."""

    name = "jittered"

    def __init__(self, clips):
        self.clips = clips
        self.labels = torch.zeros(len(clips), dtype=torch.int64)

    def tensors(self):
        return {"clips": self.clips}

    def render(self, index, rng):
        return self.clips[index] + torch.rand(len(index), 1, 1, 1, 1, generator=rng)


@pytest.mark.parametrize("layout", [PLAIN, LAST])
def test_test_clips_are_asked_for_once_and_stay_the_same(layout):
    source = Counting()
    clips = cached_clips.cached_clips(source, layout)
    assert source.asked == 1  # how large a clip is; the others when they are needed
    index = torch.tensor([69, 0, 3])
    for view in (0, 1, 0):
        batch = clips.batch(index, view)
        assert torch.equal(batch, source.clips[view][index])
        assert batch.is_contiguous(memory_format=layout)
    assert source.asked == 2 * 70 + 1
    assert clips.views() == 2
    assert torch.equal(clips.labels, source.labels)


def test_clips_that_do_not_fit_are_left_where_they_are(monkeypatch):
    source = Counting()
    each = source.clips[0, 0].numel() * 4
    monkeypatch.setattr(cached_clips, "MOST_BYTES", 2 * 70 * each)
    assert cached_clips.cached_clips(source, PLAIN) is not source
    data = KeyframeSet(source.clips[0], source.labels, 4, "nearest")
    monkeypatch.setattr(cached_clips, "MOST_BYTES", 2 * 70 * each - 1)
    assert cached_clips.cached_clips(source, PLAIN) is source
    assert cached_clips.cached_set(data, torch.device("cpu"), PLAIN) is not data
    monkeypatch.setattr(cached_clips, "MOST_BYTES", 70 * each - 1)
    assert cached_clips.cached_set(data, torch.device("cpu"), PLAIN) is data


def test_a_set_is_rendered_once_if_it_draws_nothing():
    data = KeyframeSet(torch.randn(5, 3, 2, 4, 4), torch.tensor([0, 1, 2, 0, 1]), 4, "linear")
    rendered = cached_clips.cached_set(data, torch.device("cpu"), LAST)
    index = torch.tensor([4, 0, 0])
    assert torch.equal(rendered.render(index, generator("a")), data.render(index, generator("b")))
    assert torch.equal(rendered.labels, data.labels)
    assert rendered.tensors()["frames"] is data.frames
    data.frames.zero_()
    assert bool(rendered.render(index, generator("a")).any())


@pytest.mark.parametrize("layout", [PLAIN, LAST])
def test_a_set_that_stands_still_is_kept_as_single_frames(layout, monkeypatch):
    data = FrozenSet(KeyframeSet(torch.randn(5, 3, 2, 4, 4), torch.tensor([0, 1, 2, 0, 1]), 4, "linear"))
    monkeypatch.setattr(cached_clips, "MOST_BYTES", 5 * 3 * 4 * 4 * 4)  # of whole clips a quarter
    rendered = cached_clips.cached_set(data, torch.device("cpu"), layout)
    assert rendered is not data
    index = torch.tensor([4, 0, 0])
    clips = rendered.render(index, generator("a"))
    assert torch.equal(clips, data.render(index, generator("a")))
    assert repeats_one_frame(clips)


def test_a_set_that_renders_at_random_is_rendered_anew():
    data = Jittered(torch.randn(5, 3, 4, 4, 4))
    assert cached_clips.cached_set(data, torch.device("cpu"), PLAIN) is data
