"""A stored set as a PyTorch dataset, to train anything on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from torch.utils.data import Dataset

from bench import plugins
from bench.api import SyntheticSet
from bench.core.errors import BenchError
from bench.core.paths import possible_path
from bench.core.text import shown
from bench.results.artefacts import load_set as load_artefact


@final
class DistilledClips(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The clips of a distilled set.

    Item i is a clip ``(C, T, H, W)``, float32, normalised per channel (`bench.data.pixels`), and its label: ``()`` int64, or
    ``(classes,)`` float for learned or soft labels. Sets that render at random draw from ``rng`` at each access.

    Attributes:
        synthetic: the set itself.
        classes: class names in label order.
        rng: by default PyTorch's own generator, which ``torch.manual_seed`` and a `DataLoader`'s workers seed.
    """

    def __init__(self, synthetic: SyntheticSet, classes: Sequence[str], rng: torch.Generator | None = None) -> None:
        self.synthetic = synthetic
        self.classes = tuple(classes)
        self.rng = rng

    def __len__(self) -> int:
        return len(self.synthetic)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        position = range(len(self))[index]  # handles negative positions, and raises IndexError
        with torch.no_grad():
            clips = self.synthetic.render(torch.tensor([position]), self.rng or torch.default_generator)
        return clips[0].contiguous(), self.synthetic.labels[position]  # in memory of its own, so callers may change it


def load_set(
    folder: str | Path, rng: torch.Generator | None = None, plugin: str | Sequence[str] = ()
) -> DistilledClips:
    """Loads a set that a run stored, ``results/artefacts/CELL``.

    Args:
        folder: the folder with ``memory.safetensors`` and ``manifest.json``.
        rng: the generator for sets that render at random.
        plugin: a plugin file, or several, that define its kind of set, if the suite does not.

    Raises:
        BenchError: there is no set, it is damaged, or its kind is unknown.
    """
    if not isinstance(folder, str | Path):
        raise BenchError(f"load_set(): folder={shown(folder)} is not a path")
    files = (plugin,) if isinstance(plugin, str) else plugin
    synthetic, manifest = load_artefact(possible_path(str(folder)), plugins.load(files))
    return DistilledClips(synthetic, manifest["classes"], rng)
