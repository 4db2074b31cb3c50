"""Batches of real clips: no clip comes twice, and a class smaller than the batch counts each of its clips once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench import plugins
from bench.api import Task
from bench.core.rng import generator
from bench.distill.features import class_means
from bench.distill.segments import SegmentTask
from bench.distill.single_frames import FrameTask
from bench.testing.rehearsal import TRAIN, Rehearsal

REGISTRIES = plugins.load()


def tasks(folder: Path) -> dict[str, Task]:
    """The three ways to see classes of 4, 5 and 6 clips of 4 frames."""
    rehearsal = Rehearsal("dm", REGISTRIES, folder)
    return {
        "clips": rehearsal.task(),
        "segment": SegmentTask(rehearsal.task(setting="segments-2"), 1, []),
        "frames": FrameTask(rehearsal.task(), 1),
    }


@pytest.mark.parametrize("view", ["clips", "segment", "frames"])
@pytest.mark.parametrize("count", [1, 4, 5, 64])
def test_a_batch_holds_each_clip_at_most_once(view: str, count: int, tmp_path: Path) -> None:
    task = tasks(tmp_path)[view]
    each = 4 if view == "frames" else 1
    for label, size in enumerate(TRAIN):
        index, views = task.draw(label, count, generator("draw", label))
        assert len(set(index.tolist())) == len(index) == len(views) == min(count, size * each)
        assert set(index.tolist()) <= set(task.indices(label).tolist())
        assert len(task.real(label, count, generator("draw", label))) == len(index)


def test_the_windows_of_a_small_class_are_drawn_anew(tmp_path: Path) -> None:
    task = tasks(tmp_path)["clips"]
    drawn = torch.stack([task.draw(0, 64, generator("draw", step))[1] for step in range(200)]).double()
    assert drawn.mean(dim=0).tolist() == pytest.approx([0.5] * TRAIN[0], abs=0.15)


@pytest.mark.parametrize("count", [3, 5, 64])
def test_the_mean_of_a_class_counts_each_of_its_clips_once(count: int, tmp_path: Path) -> None:
    """As NumPy's mean over a permutation's first clips, in float64."""
    task = tasks(tmp_path)["clips"]
    found = class_means(task, lambda clips: clips.flatten(1), count, generator("real"))
    rng = generator("real")
    for label, size in enumerate(TRAIN):
        order = torch.randperm(size, generator=rng)[:count]
        windows = torch.randint(task.views(), order.shape, generator=rng)
        clips = [task.clips(task.indices(label)[i : i + 1], w.view(1)) for i, w in zip(order, windows, strict=True)]
        wanted = np.mean([clip.double().numpy().reshape(-1) for clip in clips], axis=0)
        np.testing.assert_allclose(found[label].numpy(), wanted, rtol=1e-5, atol=1e-5)
