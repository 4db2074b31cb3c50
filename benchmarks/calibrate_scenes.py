"""What ``scenes`` was fitted to: ``python benchmarks/calibrate_scenes.py folder:PATH`` measures real clips, and ``scenes`` its own.

Trains networks as profile `quick` does on all training clips, on the same with their time frozen, and on 1, 5 and 10 random
clips a class; prints their accuracies on the test clips. No method is run. With ``--fit look=0.5 --fit moves=1`` clips of
``scenes`` are drawn with other numbers than the fitted ones; ``scenes[seed=1]`` is another world of the same kind.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from bench import plugins
from bench.api import ClipShape, Dataset, SyntheticSet
from bench.core.paths import cache_root
from bench.core.rng import generator
from bench.data.clip_store import open_or_build
from bench.data.sources.scenes import CLASSES, Scenes
from bench.data.sources.scenes_render import Window, draw_clip
from bench.data.sources.scenes_video import FITTED, Fit, sample_video
from bench.data.sources.scenes_video import generator as numbers
from bench.data.spec import parse_dataset
from bench.judging.frozen import FrozenSet
from bench.judging.protocols.standard import Quick
from bench.judging.training import train, training_accuracy
from bench.nets.convnet3d import SmallConvNet3D
from bench.profiles import QUICK
from bench.sets.dense import DenseSet

GEOMETRY = QUICK.geometry
SHAPE = ClipShape(3, GEOMETRY.frames, GEOMETRY.size, GEOMETRY.size)
IPCS = (1, 5, 10)


@dataclass(frozen=True)
class Split:
    """Clips ``(N, T, H, W, 3)`` uint8 and their labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def all(self) -> DenseSet:
        """Every clip."""
        return self.some(np.arange(len(self.labels)))

    def random(self, ipc: int, seed: int) -> DenseSet:
        """``ipc`` clips of each class."""
        rng = np.random.default_rng(seed)
        classes = range(int(self.labels.max()) + 1)
        return self.some(np.concatenate([rng.permutation(np.flatnonzero(self.labels == k))[:ipc] for k in classes]))

    def some(self, chosen: NDArray[np.int64]) -> DenseSet:
        """These clips."""
        pixels = torch.from_numpy(self.pixels[chosen]).permute(0, 4, 1, 2, 3)
        return DenseSet(pixels, torch.from_numpy(self.labels[chosen]))


def stored(dataset: Dataset[Any]) -> tuple[Split, Split]:
    """The training and test clips of a dataset, the middle window of each."""
    geometry = dataset.geometry(GEOMETRY)
    store = open_or_build(dataset, dataset.index(geometry), geometry, cache_root(), workers=1)
    train, test = (store.positions(split) for split in ("train", "test"))
    return Split(store.clips[train, 0], store.labels[train]), Split(store.clips[test, 0], store.labels[test])


def drawn(dataset: Scenes, fit: Fit) -> tuple[Split, Split]:
    """The same of ``scenes`` with other numbers."""
    seed, shape = dataset.options.seed, Window(1, GEOMETRY.frames, GEOMETRY.size)

    def split(name: str) -> Split:
        clips = [clip for clip in dataset.index(GEOMETRY).clips if clip.split == name]
        videos = (sample_video(seed, CLASSES[clip.label], clip.group, fit) for clip in clips)
        pixels = [
            draw_clip(video, numbers(seed, "clip", clip.key), shape) for video, clip in zip(videos, clips, strict=True)
        ]
        return Split(np.concatenate(pixels), np.array([clip.label for clip in clips]))

    return split("train"), split("test")


def accuracy(learned: SyntheticSet, tested: SyntheticSet, number: int) -> float:
    """Test accuracy, in per cent, of the network of this number."""
    network = SmallConvNet3D(int(tested.labels.max()) + 1, SHAPE, generator("evaluation", "network", number))
    order, rendering = (generator("evaluation", use, number) for use in ("order", "render"))
    train(network, learned, Quick.recipe, torch.device("cpu"), order, rendering, lambda *_: None)
    return 100 * training_accuracy(network, tested, rendering)


def figures(train: Split, test: Split, networks: int, seeds: int) -> dict[str, list[float]]:
    """Accuracies by what was learned from: one for each network, or for each random choice (and its network)."""
    full = [accuracy(train.all(), test.all(), i) for i in range(networks)]
    frozen = [accuracy(FrozenSet(train.all()), FrozenSet(test.all()), i) for i in range(networks)]
    chosen = {f"random, {n} a class": [accuracy(train.random(n, i), test.all(), i) for i in range(seeds)] for n in IPCS}
    return {"full": full, "full, frozen": frozen, "temporal gain": list(np.subtract(full, frozen)), **chosen}


def interval(values: list[float]) -> float:
    """Half the 95 % interval of a mean (Student's t)."""
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)


def main() -> None:
    """Prints the table of one dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--networks", type=int, default=3, help="trained on all clips")
    parser.add_argument("--seeds", type=int, default=5, help="random choices at each number of clips")
    parser.add_argument("--fit", action="append", default=[], metavar="FIELD=VALUE")
    args = parser.parse_args()
    dataset = parse_dataset(args.dataset, plugins.load())
    changed = {name: float(value) for name, _, value in (text.partition("=") for text in args.fit)}
    splits = drawn(dataset, replace(FITTED, **changed)) if isinstance(dataset, Scenes) else stored(dataset)
    for name, values in figures(*splits, args.networks, args.seeds).items():
        print(
            f"{name:20} {np.mean(values):5.1f} ± {interval(values):4.1f}   {' '.join(f'{value:.1f}' for value in values)}"
        )


if __name__ == "__main__":
    main()
