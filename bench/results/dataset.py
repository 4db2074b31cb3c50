"""A stored set as a dataset of PyTorch, to train anything on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from torch.utils.data import Dataset

from bench import plugins
from bench.api import SyntheticSet
from bench.results.artefacts import load_set as load_artefact


@final
class DistilledClips(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The clips of a distilled set.

    Item i is a clip ``(C, T, H, W)``, float32, normalised per channel (`bench.data.pixels`), and its label: ``()`` int64, or
    ``(classes,)`` float for learned or soft labels. Sets that render at random draw anew at each access, from ``rng``.

    Attributes:
        synthetic: the set itself.
        classes: class names in label order.
        rng: PyTorch's default generator unless given: ``torch.manual_seed`` and a `DataLoader`'s workers then seed it.
    """

    def __init__(self, synthetic: SyntheticSet, classes: Sequence[str], rng: torch.Generator | None = None) -> None:
        self.synthetic = synthetic
        self.classes = tuple(classes)
        self.rng = rng

    def __len__(self) -> int:
        return len(self.synthetic)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        position = range(len(self))[index]  # negative ones count from the end, those beyond it raise IndexError
        with torch.no_grad():
            clips = self.synthetic.render(torch.tensor([position]), self.rng or torch.default_generator)
        return clips[0].contiguous(), self.synthetic.labels[position]  # its own memory, to be changed at will


def load_set(folder: str | Path, rng: torch.Generator | None = None, plugin: Sequence[str] = ()) -> DistilledClips:
    """A set that a run stored, ``results/artefacts/CELL``.

    Args:
        folder: where ``memory.safetensors`` and ``manifest.json`` lie.
        rng: draws for sets that render at random.
        plugin: plugin files that define its kind of set, if the suite does not.

    Raises:
        BenchError: there is no set, it is damaged, or of a kind that nobody defines.
    """
    synthetic, manifest = load_artefact(Path(folder), plugins.load(plugin))
    return DistilledClips(synthetic, manifest["classes"], rng)
