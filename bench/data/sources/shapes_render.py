"""Draws one procedural clip: which shapes there are, how they move, and their pixels.

A shape's state is a point of a four-dimensional torus: its centre (x, y), its turn, and the phase of its log-size, each
counted in cycles, modulo 1. It moves by a constant step on that torus: ``state(t) = (start + t * step) mod 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

AXES = ("x", "y", "turn", "log-size")

_DIAGONAL = 0.5**0.5

MOVEMENTS: dict[str, tuple[float, float]] = {
    "right": (1, 0),
    "left": (-1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "up-right": (_DIAGONAL, -_DIAGONAL),
    "down-left": (-_DIAGONAL, _DIAGONAL),
    "up-left": (-_DIAGONAL, -_DIAGONAL),
    "down-right": (_DIAGONAL, _DIAGONAL),
}
"""Name to direction in x and y, of length 1. Image rows count downwards, so +y is down."""

SPEED = (0.16, 0.24)
"""Range of the step per frame, in cycles: 5 to 8 pixels of 32. Below half a cycle, or a step would look like its opposite."""

AMBLE = (0.005, 0.02)
"""The same where the movement tells nothing: under a pixel of 32, so that it neither hides the look nor shows more of it."""

DRIFT = 0.012
"""Largest turn and growth per frame of varied shapes, either way and in cycles: the same for every movement."""

RADII = (0.15, 0.33)
"""Smallest and largest radius as a share of the picture's side; the log-size runs through it and starts again."""

SHAPES = (2, 3)
"""Fewest and most shapes in a varied clip; a plain one has one."""


@dataclass(frozen=True)
class Window:
    """The shape of a clip: windows of time, one after the other; T frames in each; pixels of a side."""

    views: int
    frames: int
    size: int


@dataclass(frozen=True)
class Scene:
    """All that is drawn at random about a clip except its pixel noise; n shapes, later ones in front.

    Attributes:
        kinds, textures: names, one per shape.
        start, step: ``(n, 4)`` state at frame 0 and change per frame, in cycles on `AXES`.
        light, dark: ``(n, 3)`` the two tones of each shape, in [0, 1].
        base: ``(3,)`` mean colour of the background.
        waves: ``(k, 3)`` of each background wave: cycles over the width, over the height, phase in cycles.
        tints: ``(k, 3)`` amplitude of each wave in each colour.
        noise: standard deviation of the pixel noise.
    """

    kinds: tuple[str, ...]
    textures: tuple[str, ...]
    start: NDArray[np.float64]
    step: NDArray[np.float64]
    light: Floats
    dark: Floats
    base: Floats
    waves: Floats
    tints: Floats
    noise: float


def draw_clip(
    rng: np.random.Generator, kind: str | None, texture: str | None, movement: str | None, plain: bool, shape: Window
) -> NDArray[np.uint8]:
    """Draws a clip; whatever is None is drawn at random.

    Args:
        rng: all randomness of the clip. The scene is drawn first, so the same stream gives the same scene at any size.
        kind, texture: of every shape; names of `KINDS` and `TEXTURES`. None: each shape has its own.
        movement: a name of `MOVEMENTS`, of all shapes of the clip.
        plain: whether clips differ in where the shape starts, how fast it is and their noise, and in nothing else.
        shape: of the clip.

    Returns:
        uint8 ``(views, T, H, W, 3)``.
    """
    scene = sample_scene(rng, kind, texture, movement, plain)
    pixels = render(scene, np.arange(shape.views * shape.frames), shape.size)
    pixels += scene.noise * rng.standard_normal(pixels.shape, dtype=np.float32)
    levels: NDArray[np.uint8] = np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8)
    return levels.reshape(shape.views, shape.frames, shape.size, shape.size, 3)


def sample_scene(
    rng: np.random.Generator, kind: str | None, texture: str | None, movement: str | None, plain: bool
) -> Scene:
    """Draws everything but the noise. Nothing but ``step`` depends on the movement, and the starting place is uniform."""
    count = 1 if plain else int(rng.integers(SHAPES[0], SHAPES[1] + 1))
    kinds = rng.integers(len(KINDS), size=count)
    textures = rng.integers(len(TEXTURES), size=count)
    direction = MOVEMENTS[movement or list(MOVEMENTS)[rng.integers(len(MOVEMENTS))]]
    start = rng.random((count, len(AXES)))
    step = rng.uniform(-DRIFT, DRIFT, (count, len(AXES)))
    step[:, :2] = rng.uniform(*(AMBLE if movement is None else SPEED), (count, 1)) * direction
    varied = Scene(
        kinds=tuple(kind or list(KINDS)[i] for i in kinds),
        textures=tuple(texture or list(TEXTURES)[i] for i in textures),
        start=start,
        step=step,
        light=rng.uniform(0.65, 1.0, (count, 3)).astype(np.float32),
        dark=rng.uniform(0.0, 0.25, (count, 3)).astype(np.float32),
        base=rng.uniform(0.35, 0.55, 3).astype(np.float32),
        waves=np.column_stack([rng.integers(-2, 3, (3, 2)), rng.random(3)]).astype(np.float32),
        tints=rng.normal(0.0, 0.04, (3, 3)).astype(np.float32),
        noise=float(rng.uniform(0.0, 0.05)),
    )
    return _plain(varied) if plain else varied


def _plain(scene: Scene) -> Scene:
    """The scene with an upright shape of medium size in two tones on grey."""
    start, step = scene.start.copy(), scene.step.copy()
    start[:, 2:], step[:, 2:] = (0.0, 0.5), 0.0
    return replace(
        scene,
        start=start,
        step=step,
        light=np.full_like(scene.light, 0.95),
        dark=np.full_like(scene.dark, 0.05),
        base=np.full_like(scene.base, 0.45),
        tints=np.zeros_like(scene.tints),
    )


def states(scene: Scene, times: NDArray[np.int64]) -> NDArray[np.float64]:
    """State of each shape at each time: ``(n, times, 4)`` cycles in [0, 1)."""
    moved: NDArray[np.float64] = (scene.start[:, None] + times[:, None] * scene.step[:, None]) % 1.0
    return moved


def radius(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius, as a share of the picture's side, of a log-size phase in [0, 1)."""
    share: NDArray[np.float64] = RADII[0] * (RADII[1] / RADII[0]) ** phase
    return share


def render(scene: Scene, times: NDArray[np.int64], size: int) -> Floats:
    """The noiseless frames at ``times``: ``(times, size, size, 3)`` in about [0, 1]. Each depends on its state alone."""
    grid = (np.arange(size) + 0.5) / size
    pixels: Floats = np.repeat(_background(scene, grid)[None], len(times), axis=0)
    for i, state in enumerate(states(scene, times)):
        x, y, turn, phase = (state[:, axis, None, None] for axis in range(len(AXES)))
        reach = radius(phase)
        # Offsets wrap around the borders: a shape that leaves on one side comes in on the other.
        dx = ((grid[None, None, :] - x + 0.5) % 1.0 - 0.5) / reach
        dy = ((grid[None, :, None] - y + 0.5) % 1.0 - 0.5) / reach
        cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
        u = (cos * dx).astype(np.float32) + (sin * dy).astype(np.float32)
        v = (cos * dy).astype(np.float32) - (sin * dx).astype(np.float32)
        sharpness = (reach * size).astype(np.float32)  # pixels per unit length: edges are one pixel wide
        inside = _step(-KINDS[scene.kinds[i]](u, v), sharpness)[..., None]
        lit = _step(TEXTURES[scene.textures[i]](u, v), sharpness)[..., None]
        tones = scene.dark[i] + lit * (scene.light[i] - scene.dark[i])
        pixels += inside * (tones - pixels)
    return pixels


def _background(scene: Scene, grid: NDArray[np.float64]) -> Floats:
    across, down, phase = (scene.waves[:, j, None, None] for j in range(3))
    waves = np.cos(2 * np.pi * (across * grid[None, None, :] + down * grid[None, :, None] + phase)).astype(np.float32)
    picture: Floats = scene.base + np.einsum("khw,kc->hwc", waves, scene.tints)
    return picture


def _step(distance: NDArray[Any], sharpness: Floats) -> Floats:
    covered: Floats = np.clip(distance * sharpness + 0.5, 0, 1)
    return covered


# ----------------------------------------------------------------------------------------------------------------------
# Outlines and textures in a shape's own coordinates (u, v), where its radius is about 1

Field = Callable[[Floats, Floats], NDArray[Any]]


def _radial(u: Floats, v: Floats) -> Floats:
    rho: Floats = np.sqrt(u * u + v * v)
    return rho


def _star(u: Floats, v: Floats) -> Floats:
    uu, vv = u * u, v * v
    rho = _radial(u, v) + 1e-6
    five_arms: Floats = u * (uu * uu - 10 * uu * vv + 5 * vv * vv) / rho**5  # the cosine of five times the angle
    return rho - 0.65 - 0.4 * five_arms


KINDS: dict[str, Field] = {
    "disc": lambda u, v: _radial(u, v) - 1,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.85,
    "triangle": lambda u, v: np.maximum(v, np.abs(u) * 0.75**0.5 - v / 2) - 0.55,
    "cross": lambda u, v: np.maximum(np.minimum(np.abs(u), np.abs(v)) - 0.3, np.maximum(np.abs(u), np.abs(v)) - 1),
    "ring": lambda u, v: np.abs(_radial(u, v) - 0.75) - 0.25,
    "star": _star,
    "bar": lambda u, v: np.maximum(np.abs(u) - 1, np.abs(v) - 0.33),
    "moon": lambda u, v: np.maximum(_radial(u, v) - 1, 0.75 - _radial(u - 0.5, v)),
}
"""Outlines: about the signed distance to the edge, negative inside."""

TEXTURES: dict[str, Field] = {
    "spot": lambda u, v: 0.45 - _radial(u - 0.55, v),
    "checks": lambda u, v: np.sin(1.5 * np.pi * u) * np.cos(1.5 * np.pi * v) / 4,
    "hole": lambda u, v: _radial(u - 0.55, v) - 0.45,
    "quarter": lambda u, v: np.minimum(u, v),
    "halves": lambda u, _: u,
    "shade": lambda u, _: u / 8,
    "stripes": lambda u, _: np.sin(1.5 * np.pi * u) / 4,
    "notch": lambda u, v: np.maximum(-u, -v),
}
"""Positive where the light tone is. None is the same after less than a full turn, so that turning shows on any outline."""
