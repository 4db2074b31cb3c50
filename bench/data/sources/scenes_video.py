"""What a video of ``scenes`` shows: a place, an actor and a movement, each more or less typical of its class.

Lengths are shares of the picture's side, times are frames, tones are in [0, 1] before light and contrast. All is drawn from Philox
by sums, products, quotients and roots of doubles, which IEEE 754 defines to the last bit.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

OCTAVES = (1, 2, 4, 8, 16)
"""Cells of a place's colour fields over the picture's side; a field repeats after two pictures."""

GROWTH = 1.0
"""Amplitude of each octave over that of the one before: the power spectrum of a frame falls as that of real ones."""

TINT = 0.18
"""How much colours vary beside the grey."""

PLACES = 2
"""Places of each class; as many are shared by all."""


@dataclass(frozen=True)
class Fit:
    """How telling of the class things are. The defaults come near figures of real clips; docs/data.md says how.

    Attributes:
        place: share of the variance of a video's colours that is that of its place, in the class that is told most easily; the
            rest is the video's own.
        look: share of its actor's size and tones that is that of the class, in the same class.
        least: these shares in the class that is told least easily, over those in the other.
        shared: chance that the place is one where every class is seen.
        moves: chance that the actor moves as its class does; else it moves as any does.
    """

    place: float = 0.85
    look: float = 1.0
    least: float = 0.25
    shared: float = 0.15
    moves: float = 0.65


FITTED = Fit()


@dataclass(frozen=True)
class Movement:
    """How an actor moves.

    Attributes:
        ease: how easily the class is told by its places and actors, from 0 to 1.
        sway, bob: how far from its centre, across and down.
        rate: cycles of ``sway`` a frame.
        double: cycles of ``bob`` in one of ``sway``.
        walk: how far it walks in a frame, across and down; it comes back on the other side.
        reach: how far its hand goes.
        pan: how far the camera goes in a frame, at most.
    """

    ease: float
    sway: float = 0.0
    bob: float = 0.0
    rate: float = 0.0
    double: float = 1.0
    walk: tuple[float, float] = (0.0, 0.0)
    reach: float = 0.0
    pan: float = 0.01


MOVEMENTS = {
    "bow": Movement(0.25, bob=0.08, rate=0.07),
    "climb": Movement(0.75, sway=0.03, rate=0.2, walk=(0.0, -0.06), reach=0.1, pan=0.02),
    "dance": Movement(0.5, sway=0.12, bob=0.06, rate=0.19, double=2.0, reach=0.1, pan=0.02),
    "jump": Movement(0.0, bob=0.2, rate=0.23, pan=0.03),
    "run": Movement(1.0, bob=0.04, rate=0.3, walk=(0.1, 0.0), reach=0.06, pan=0.05),
    "stir": Movement(0.375, rate=0.12, reach=0.12),
    "swing": Movement(0.875, sway=0.22, bob=0.06, rate=0.11, double=2.0, pan=0.02),
    "throw": Movement(0.125, sway=0.05, rate=0.09, reach=0.25, pan=0.03),
    "wave": Movement(0.625, rate=0.27, reach=0.18),
}
"""What the actors of each class do."""


@dataclass(frozen=True)
class Place:
    """The colours of a place, of mean 0.

    Attributes:
        tone: ``(3,)`` of the whole.
        fields: ``(2n, 2n, 3)`` at the corners of cells, for each octave of n cells.
    """

    tone: Doubles
    fields: tuple[Doubles, ...]


@dataclass(frozen=True)
class Actor:
    """What an actor looks like.

    Attributes:
        size: ``(2,)`` half its width and height.
        tones: ``(4, 3)`` of its upper and lower half, its head and its hand.
    """

    size: Doubles
    tones: Doubles


@dataclass(frozen=True)
class Video:
    """What the clips of a video have in common.

    Attributes:
        place, actor, movement: who does what where.
        mirrored: whether left is right.
        contrast: of the place.
        pace, vigour: how fast and how far the actor moves, as a multiple of its movement.
        home: ``(2,)`` where it is, across and down.
        shake: how much the camera moves.
    """

    place: Place
    actor: Actor
    movement: Movement
    mirrored: bool
    contrast: Doubles
    pace: Doubles
    vigour: Doubles
    home: Doubles
    shake: Doubles


@functools.lru_cache(maxsize=1)
def sample_video(seed: int, name: str, video: str, fit: Fit = FITTED) -> Video:
    """Draws what the clips of a video have in common."""
    rng = generator(seed, "video", video)
    telling = fit.least + (1.0 - fit.least) * MOVEMENTS[name].ease
    anywhere, number, habit = rng.random() < fit.shared, int(PLACES * rng.random()), int(len(MOVEMENTS) * rng.random())
    place = typical_place(seed, "any" if anywhere else name, number)
    return Video(
        place=mix_places(telling * fit.place, place, sample_place(rng)),
        actor=mix_actors(telling * fit.look, typical_actor(seed, name), sample_actor(rng)),
        movement=MOVEMENTS[name if rng.random() < fit.moves else list(MOVEMENTS)[habit]],
        mirrored=bool(rng.random() < 0.5),
        contrast=between(rng, 0.1, 0.36),
        pace=between(rng, 0.7, 1.3),
        vigour=between(rng, 0.1, 1.0),
        home=between(rng, 0.35, 0.65, 2),
        shake=between(rng, 0.0, 1.3) * between(rng, 0.0, 1.3),
    )


@functools.lru_cache(maxsize=64)
def typical_place(seed: int, name: str, number: int) -> Place:
    """A place of a class, or of any."""
    return sample_place(generator(seed, "place", name, number))


def sample_place(rng: np.random.Generator) -> Place:
    """Draws a place."""
    fields, amplitude = [], 1.0
    for cells in OCTAVES:
        grey, colour = (between(rng, -amplitude, amplitude, 2 * cells, 2 * cells, depth) for depth in (1, 3))
        fields.append(grey + TINT * colour)
        amplitude *= GROWTH
    return Place(between(rng, -0.6, 0.6) + between(rng, -0.5, 0.5, 3), tuple(fields))


def mix_places(share: float, typical: Place, own: Place) -> Place:
    """A place of whose variance ``share`` is typical."""

    def mix(one: Doubles, other: Doubles) -> Doubles:
        mixed: Doubles = np.sqrt(share) * one + np.sqrt(1.0 - share) * other
        return mixed

    return Place(mix(typical.tone, own.tone), tuple(map(mix, typical.fields, own.fields)))


@functools.lru_cache(maxsize=64)
def typical_actor(seed: int, name: str) -> Actor:
    """The look of a class."""
    return sample_actor(generator(seed, "actor", name))


def sample_actor(rng: np.random.Generator) -> Actor:
    """Draws an actor."""
    return Actor(between(rng, 0.1, 0.38, 2), between(rng, 0.0, 1.0, 4, 1) + between(rng, -0.2, 0.2, 4, 3))


def mix_actors(share: float, typical: Actor, own: Actor) -> Actor:
    """An actor of whose look ``share`` is typical."""
    size = share * typical.size + (1.0 - share) * own.size
    return Actor(size, share * typical.tones + (1.0 - share) * own.tones)


def generator(*key: str | int) -> np.random.Generator:
    """The random numbers of a name."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Doubles:
    """Uniform random numbers."""
    drawn: Doubles = low + (high - low) * rng.random(shape)
    return drawn
