"""Procedural clips in a named dataset's place: as many classes and clips, the same geometry, nothing to download."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, DeclaredSize, Geometry
from bench.core.errors import BenchError
from bench.data.clip_table import ClipTable
from bench.data.sources.shapes import (
    KINDS,
    MOVEMENTS,
    TEXTURES,
    Traits,
    ceiling_note,
    class_names,
    draw,
    fingerprint,
    list_clips,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_CLASSES = len(TEXTURES) * len(KINDS) * len(MOVEMENTS)


def stand_in(dataset: Dataset[Any]) -> Dataset[Any]:
    """A procedural dataset of the size that ``dataset`` declares; the data themselves are not needed.

    Raises:
        BenchError: the dataset does not declare its size, or has more classes than there are looks and movements.
    """
    size = dataset.declared()
    if size is None:
        raise BenchError(
            f"--stand-in: nothing can stand in for '{dataset.name}', whose class and clip counts are not known in advance "
            f"(valid: {', '.join(_declaring()) or 'none'})"
        )
    if size.classes > MOST_CLASSES:
        raise BenchError(
            f"--stand-in: '{dataset.name}' has {size.classes} classes, procedural clips can tell {MOST_CLASSES} apart at most"
        )
    return StandIn(dataset, size)


class StandIn(Dataset[Any]):
    """Made by `stand_in`, not by name: clips of moving shapes, a class per look and movement.

    It answers to the name, the default profile and the presets of the dataset whose place it takes; `index` and with it every
    table say ``(stand-in)``.
    """

    def __init__(self, dataset: Dataset[Any], size: DeclaredSize) -> None:
        """Args:
        dataset: the one whose place is taken; its geometry is kept.
        size: its classes and clips.
        """
        super().__init__(dataset.options, dataset.root, dataset.argument)
        self.name = dataset.name  # type: ignore[misc]
        self.default_profile = dataset.default_profile
        self.dataset = dataset
        self.size = size
        self.table = traits_table(size.classes)

    @override
    def declared(self) -> DeclaredSize:
        return self.size

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return self.dataset.geometry(profile)

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        """Lists as many clips as the dataset has, spread evenly over the classes."""
        name, size = self.dataset.name, self.size
        test = spread(size.test, size.classes)
        return ClipIndex(
            dataset=f"{name} (stand-in)",
            classes=class_names(self.table),
            clips=ClipTable(list_clips(self.table, spread(size.train, size.classes), test)),
            fingerprint=fingerprint("stand-in", name, size.classes, size.train, size.test),
            notes=(
                f"procedural clips stand in for {name}: these figures say nothing about {name} itself",
                ceiling_note(self.table, test),
            ),
        )

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        return draw(self.table[clip.label], ("stand-in", self.dataset.name, clip.key), geometry, plain=False)


def traits_table(classes: int) -> tuple[Traits, ...]:
    """The first ``classes`` of all looks and movements; outlines with their usual textures come first."""
    every = product(range(len(TEXTURES)), enumerate(KINDS), MOVEMENTS)
    table = (Traits(kind, TEXTURES[(i + shift) % len(TEXTURES)], movement) for shift, (i, kind), movement in every)
    return tuple(traits for traits, _ in zip(table, range(classes), strict=False))


def spread(total: int, classes: int) -> list[int]:
    """Clips per class, which add up to ``total``; the remainder goes to the first classes."""
    each, left = divmod(total, classes)
    return [each + (label < left) for label in range(classes)]


def _declaring() -> list[str]:
    from bench import plugins  # only to word the error

    return [name for name, dataset in plugins.load().datasets if _declares(dataset)]


def _declares(dataset: type[Dataset[Any]]) -> bool:
    if dataset.takes_argument:
        return False
    try:
        return dataset(dataset.Config(), root="").declared() is not None
    except (TypeError, ValueError, BenchError):  # it needs an option
        return False
