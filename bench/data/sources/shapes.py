"""Procedural datasets of moving shapes: nothing to download, and known to the last bit where the class is.

``shapes-motion``: the class is only in the movement. ``shapes-appearance``: only in the look. ``shapes-mixed``: in both.

Why no single frame of ``shapes-motion`` tells anything. The place of a shape is a point of a torus (x and y modulo 1), and a
movement of class c is a constant random step s on it: ``place(t) = start + t * s mod 1``. The start is uniform on the torus
and independent of the step, hence for every fixed t and every s the place at t is uniform too: given the class it has the
same distribution. All else that is drawn (in ``shapes-motion`` only the noise) is drawn alike for every class. A frame is a
function of just these at one t, without motion blur, therefore its distribution is the same for all classes, exactly. For this
to hold shapes wrap around the borders. (Varied shapes also have a turn and a log-size, two more coordinates of which the same
is true; shapes of one clip share the direction, and given their steps their places are independent and uniform.)

Played backwards, a clip of one movement is a clip of its opposite: step s becomes -s, and the noise of frames is
independent. No movement is its own opposite, so a network that has learned the movements is wrong on every reversed clip.

Clips of ``shapes-motion`` and ``shapes-mixed`` are plain: one shape in two tones on grey, so that what sets classes apart is
not drowned by what sets clips apart, and a handful of clips a class can teach it. Those of ``shapes-appearance`` are varied.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta
from typing_extensions import override

from bench.api import ClipIndex, ClipRef, CountOrZero, Dataset, Geometry
from bench.core.config import as_dict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERATOR_VERSION = 3
"""Rises whenever the same key would give other pixels; part of every fingerprint."""

MOVEMENTS = ("right", "left", "up", "down", "up-right", "down-left", "up-left", "down-right")
KINDS = ("disc", "square", "triangle", "cross", "ring", "star", "bar", "moon")
TEXTURES = ("spot", "checks", "hole", "quarter", "halves", "shade", "stripes", "notch")
USUAL_TEXTURE = dict(zip(KINDS, TEXTURES, strict=True))
"""Each outline has a texture of its own by which a small network can tell it from the others at 32 pixels."""

SMALLEST = 8
"""Pixels of a side below which shapes are blots."""

Clips: TypeAlias = Annotated[int, Meta(ge=1, le=10_000)]
"""Clips per class: an index of more would take minutes."""


@dataclass(frozen=True)
class Traits:
    """What all clips of a class have in common; None where it is left to chance.

    Attributes:
        kind, texture: outline and texture of every shape; both or neither.
        movement: of every shape.
    """

    kind: str | None
    texture: str | None
    movement: str | None

    def name(self) -> str:
        """``disc``, ``disc-right``; with the texture if it is not the outline's usual one."""
        unusual = None if self.kind is None or self.texture == USUAL_TEXTURE[self.kind] else self.texture
        return "-".join(trait for trait in (self.kind, unusual, self.movement) if trait is not None)

    def look(self) -> tuple[str | None, str | None]:
        """All that a still image can show of the class."""
        return self.kind, self.texture


@dataclass(frozen=True)
class ShapesOptions:
    """Options of the procedural datasets.

    Attributes:
        frames: frames per clip; None: the profile's.
        size: height and width in pixels; None: the profile's.
        train, test: clips per class.
        seed: another seed is another sample of the same distribution.
    """

    frames: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    size: Annotated[int, Meta(ge=SMALLEST, le=1_000)] | None = None
    train: Clips = 100
    test: Clips = 50
    seed: CountOrZero = 0


@dataclass(frozen=True)
class MixedOptions(ShapesOptions):
    """Options of ``shapes-mixed``: half the test clips, for the main job's five minutes."""

    test: Clips = 25


class ShapesDataset(Dataset[ShapesOptions]):
    """What the three variants share; they differ in their class table."""

    Config: ClassVar[type] = ShapesOptions
    plain: ClassVar[bool]
    """Whether clips of a class differ in place, speed and noise alone."""

    @abstractmethod
    def table(self) -> tuple[Traits, ...]:
        """The classes in label order."""

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return resized(profile, self.options)

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        """Lists the clips; the notes say what the movement is worth."""
        table, options = self.table(), self.options
        train, test = [options.train] * len(table), [options.test] * len(table)
        return ClipIndex(
            dataset=self.name,
            classes=class_names(table),
            clips=tuple(list_clips(table, train, test)),
            fingerprint=fingerprint(self.name, as_dict(options)),
            notes=(ceiling_note(table, test),),
        )

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        """Draws a clip: uint8 ``(views, T, H, W, 3)``, a function of variant, seed, key and geometry alone."""
        return draw(self.table()[clip.label], (self.name, self.options.seed, clip.key), geometry, self.plain)


class ShapesMotion(ShapesDataset):
    """Eight directions of movement; every clip shows the same shape."""

    name: ClassVar[str] = "shapes-motion"
    plain: ClassVar[bool] = True

    @override
    def table(self) -> tuple[Traits, ...]:
        """A class per movement."""
        return tuple(Traits("disc", "halves", movement) for movement in MOVEMENTS)


class ShapesAppearance(ShapesDataset):
    """Eight looks; the movement is chance."""

    name: ClassVar[str] = "shapes-appearance"
    plain: ClassVar[bool] = False

    @override
    def table(self) -> tuple[Traits, ...]:
        """A class per outline with its usual texture."""
        return tuple(Traits(kind, texture, None) for kind, texture in USUAL_TEXTURE.items())


class ShapesMixed(ShapesDataset):
    """Three looks times two opposite pairs of movements."""

    name: ClassVar[str] = "shapes-mixed"
    Config: ClassVar[type] = MixedOptions
    plain: ClassVar[bool] = True

    @override
    def table(self) -> tuple[Traits, ...]:
        """A class per pair of look and movement."""
        pairs = product(("disc", "cross", "bar"), ("right", "left", "up", "down"))
        return tuple(Traits(kind, USUAL_TEXTURE[kind], movement) for kind, movement in pairs)


# ----------------------------------------------------------------------------------------------------------------------
# What every procedural dataset is made of


def resized(profile: Geometry, options: ShapesOptions) -> Geometry:
    """The profile's geometry with the options ``frames`` and ``size`` in it."""
    size = options.size
    return dataclasses.replace(
        profile,
        frames=profile.frames if options.frames is None else options.frames,
        scale=profile.scale if size is None else size,
        size=profile.size if size is None else size,
    )


def draw(traits: Traits, key: tuple[str | int, ...], geometry: Geometry, plain: bool) -> NDArray[np.uint8]:
    """Draws the clip named ``key``: uint8 ``(views, T, H, W, 3)``; views are consecutive windows of time.

    The geometry is no part of the random seed: a clip shows the same scene at every resolution.
    """
    import numpy as np

    from bench.data.sources.shapes_render import Window, draw_clip

    seed = int.from_bytes(hashlib.sha256(json.dumps(key).encode()).digest(), "big")
    rng = np.random.Generator(np.random.PCG64(seed))
    shape = Window(geometry.views, geometry.frames, geometry.size)
    return draw_clip(rng, traits.kind, traits.texture, traits.movement, plain, shape)


def class_names(table: Sequence[Traits]) -> tuple[str, ...]:
    """A name for each class: that of its movement where all look alike."""
    alike = len({traits.look() for traits in table}) == 1
    return tuple(traits.movement if alike and traits.movement is not None else traits.name() for traits in table)


def list_clips(table: Sequence[Traits], train: Sequence[int], test: Sequence[int]) -> Iterator[ClipRef]:
    """Every clip, training clips first, class by class; each is its own group.

    Args:
        table: the classes in label order.
        train, test: number of clips of each class.
    """
    yield from _list_split(table, "train", train)
    yield from _list_split(table, "test", test)


def _list_split(table: Sequence[Traits], split: Literal["train", "test"], counts: Sequence[int]) -> Iterator[ClipRef]:
    for label, (name, count) in enumerate(zip(class_names(table), counts, strict=True)):
        for number in range(count):
            key = f"{split}/{name}/{number:04d}"
            yield ClipRef(key, label, split, group=key)


def still_ceiling(table: Iterable[Traits], test: Iterable[int]) -> float:
    """The best expected accuracy of a classifier that sees one frame: it knows the look, and guesses the likeliest class.

    Args:
        table: the classes in label order.
        test: number of test clips of each class.
    """
    likeliest: dict[tuple[str | None, str | None], int] = {}
    total = 0
    for traits, count in zip(table, test, strict=True):
        likeliest[traits.look()] = max(likeliest.get(traits.look(), 0), count)
        total += count
    return sum(likeliest.values()) / total


def ceiling_note(table: Sequence[Traits], test: Sequence[int]) -> str:
    """What a method that stores still images can reach, in a sentence."""
    looks = len({traits.look() for traits in table})
    movements = len({traits.movement for traits in table})
    ceiling = still_ceiling(table, test)
    if movements == 1:
        return f"the movement tells nothing of the class: still images are enough, they can reach {ceiling:.3f}"
    if looks == 1:
        return (
            f"a method that stores still images stays at chance, {ceiling:.3f}: "
            f"a frame tells nothing of the movement (1 of {movements})"
        )
    return (
        f"a method that stores still images can reach at most {ceiling:.3f} in expectation: "
        f"it can know the look ({looks}) but not the movement (1 of {movements})"
    )


def fingerprint(*parts: object) -> str:
    """SHA-256 of JSON values that define a procedural dataset, and of the generator's version."""
    return hashlib.sha256(json.dumps([GENERATOR_VERSION, *parts], sort_keys=True).encode()).hexdigest()
