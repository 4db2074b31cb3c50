"""Renders the clips of a stored set as pixels, with the names of their classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import SyntheticSet
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.data.pixels import MEAN, STD
from bench.plugins import Registries
from bench.results.artefacts import MANIFEST, TENSORS, load_set
from bench.results.cells import Cell, read_cell

_BATCH = 16


@dataclass(frozen=True)
class Stored:
    """A stored set and its manifest.

    Attributes:
        synthetic: the set.
        manifest: the manifest as it was written.
        cell: the cell that made the set.
        classes: class names in label order.
        labels: ``(N,)`` the class of each clip; for soft labels the most likely one.
    """

    synthetic: SyntheticSet
    manifest: dict[str, Any]
    cell: Cell
    classes: tuple[str, ...]
    labels: tuple[int, ...]

    def names(self, index: list[int]) -> list[str]:
        """The class names of some clips. Clips after the first of a class get a number too."""
        names = []
        for position in index:
            label = self.labels[position]
            number = self.labels[:position].count(label)
            names.append(self.classes[label] + (f" {number + 1}" if number else ""))
        return names


def open_set(folder: Path, registries: Registries) -> Stored:
    """Opens a stored set.

    Raises:
        BenchError: there is no set, it is damaged, or its kind is unknown.
    """
    synthetic, manifest = load_set(folder, registries)
    try:
        cell, classes = read_cell(manifest["cell"]), tuple(map(str, manifest["classes"]))
        frames = int(cell.geometry["frames"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BenchError(f"{folder}: {MANIFEST} is damaged: {type(error).__name__}: {error}") from error
    labels = tuple(int(label) for label in synthetic.hard_labels())
    if not labels or frames < 1 or not all(0 <= label < len(classes) for label in labels):
        raise BenchError(f"{folder}: {TENSORS} and {MANIFEST} do not agree on the classes")
    return Stored(synthetic, manifest, cell, classes, labels)


def render(stored: Stored, index: list[int]) -> tuple[NDArray[np.uint8], float]:
    """Renders some clips as pixels.

    Args:
        stored: the set.
        index: positions of the clips.

    Returns:
        ``(B, T, H, W, 3)``, rounded, and the share of values that had to be clipped to the range of pixels.

    Raises:
        BenchError: the set cannot be rendered.
    """
    rng = generator("show")
    scale = torch.tensor(STD).view(1, -1, 1, 1, 1) * 255
    shift = torch.tensor(MEAN).view(1, -1, 1, 1, 1) * 255
    parts, cut, count = [], 0, 0
    for start in range(0, len(index), _BATCH):
        try:
            with torch.no_grad():
                clips = stored.synthetic.render(torch.tensor(index[start : start + _BATCH]), rng).cpu()
            values = (clips * scale + shift).round()
        except (RuntimeError, IndexError, TypeError) as error:
            raise BenchError(f"{TENSORS} is damaged: the set does not render: {error}") from error
        cut += int(((values < 0) | (values > 255)).sum())
        count += values.numel()
        parts.append(values.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().numpy())
    return np.concatenate(parts), cut / max(1, count)


def first_of_each(labels: tuple[int, ...], wanted: list[int]) -> dict[int, int]:
    """The position of the first clip of each wanted class that has any."""
    return {label: labels.index(label) for label in wanted if label in labels}


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``, evenly spaced from 0."""
    chosen = min(count, most)
    return [place * count // chosen for place in range(chosen)]
