"""What the procedural datasets promise, at full size: the class of `shapes-motion` is in the movement and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import final

import pytest
import torch

from bench import training
from bench.api import Clips
from bench.data.pixels import SplitClips, normalise
from bench.data.shapes import ShapesMotion
from bench.data.store import ClipStore, open_or_build
from bench.nets.registry import SmallConvNet3DNetwork
from bench.profiles import PROFILES
from bench.protocol import Quick
from bench.rng import generator
from bench.synthetic.dense import DenseSet
from bench.tables.stats import interval

CPU = torch.device("cpu")
CLASSES = 8


@final
class Frozen(Clips):
    """Test clips of which only the middle frame is shown, again and again."""

    def __init__(self, clips: SplitClips) -> None:
        self.clips = clips
        self.labels = clips.labels

    def views(self) -> int:
        return self.clips.views()

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        return freeze(self.clips.batch(index, view))


def freeze(clips: torch.Tensor) -> torch.Tensor:
    frames = clips.shape[2]
    return clips[:, :, frames // 2 : frames // 2 + 1].expand_as(clips)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    dataset = ShapesMotion(ShapesMotion.Config(), "")
    geometry = PROFILES["quick"].geometry
    cache: Path = tmp_path_factory.mktemp("cache")
    return open_or_build(dataset, dataset.index(geometry), geometry, cache, workers=1)


def accuracies(train: torch.Tensor, labels: torch.Tensor, test: Clips) -> list[float]:
    """Accuracy of each network of the quick protocol."""
    found = []
    for number in range(Quick.networks):
        shape = PROFILES["quick"].geometry.shape()
        network = SmallConvNet3DNetwork().build(CLASSES, shape, generator("evaluation", "network", number))
        order, rendering = generator("evaluation", "order", number), generator("evaluation", "render", number)
        training.train(network, DenseSet(train, labels), Quick.recipe, CPU, order, rendering, lambda *_: None)
        confusion = training.test(network, test, CLASSES).confusion
        found.append(sum(row[i] for i, row in enumerate(confusion)) / len(test))
    return found


@pytest.mark.slow
def test_with_the_whole_clip_motion_is_learned_and_with_one_repeated_frame_it_is_not(store: ClipStore) -> None:
    train, test = SplitClips(store, "train", CPU), SplitClips(store, "test", CPU)
    everything = torch.arange(len(train))
    clips = normalise(train.pixels(everything, torch.zeros_like(everything))).contiguous()
    moving = interval([accuracies(clips, train.labels, test)])
    still = interval([accuracies(freeze(clips).contiguous(), train.labels, Frozen(test))])
    for name, found in (("whole clip", moving), ("one frame repeated", still)):
        print(f"{name}: {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]")
    assert moving.low is not None
    assert moving.mean > 0.9
    assert still.low is not None
    assert still.high is not None
    assert still.low <= 1 / CLASSES <= still.high
