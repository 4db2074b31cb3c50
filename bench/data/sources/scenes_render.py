"""Draws the clips of a video of ``scenes``: crop, light, drift, noise, and the pixels.

Only sums, products, quotients, roots and roundings of doubles are used, which IEEE 754 defines to the last bit: a clip has the
same bytes on every machine. Axes of two are across and down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.data.sources.scenes_video import OCTAVES, Actor, Doubles, Place, Video, between

TONE = (0.345, 0.315, 0.275)
"""The mean red, green and blue."""


@dataclass(frozen=True)
class Window:
    """The shape of a clip: windows of time, one after the other; T frames in each; pixels of a side."""

    views: int
    frames: int
    size: int


def draw_clip(video: Video, rng: np.random.Generator, shape: Window) -> NDArray[np.uint8]:
    """Draws a clip of a video, with a crop, light, moment, drift and noise of its own: uint8 ``(views, T, H, W, 3)``.

    Noise is drawn last, so the same numbers give the same scene at any size.
    """
    pixels = np.clip(_film(video, rng, shape), 0.0, 1.0)
    levels: NDArray[np.uint8] = np.floor(pixels * 255.0 + 0.5).astype(np.uint8)
    return levels.reshape(shape.views, shape.frames, shape.size, shape.size, 3)


def _film(video: Video, rng: np.random.Generator, shape: Window) -> Doubles:
    move, times = video.movement, np.arange(shape.views * shape.frames, dtype=np.float64)
    grid = (np.arange(shape.size) + 0.5) / shape.size
    corner, zoom = between(rng, 0.0, 0.15, 2, 1, 1), between(rng, 0.9, 1.1)
    drift = video.shake * move.pan * between(rng, -1.0, 1.0, 2, 1, 1)
    light = np.array(TONE) + between(rng, -0.08, 0.08) + between(rng, -0.03, 0.03, 3)
    phase, lead, noise = rng.random(), rng.random(), between(rng, 0.004, 0.016)

    columns, rows = corner + drift * times[:, None] + zoom * grid
    pixels = light + video.contrast * _colours(video.place, rows, columns)
    turns, walked = video.pace * move.rate * times + phase, times - shape.frames / 2.0
    across = move.sway * wave(turns) + move.walk[0] * walked
    down = move.bob * wave(move.double * turns + 0.25) + move.walk[1] * walked
    centre = (video.home[:, None] + video.vigour * np.stack([across, down])) % 1.0
    hand = video.vigour * move.reach * np.stack([wave(turns + lead), wave(turns + lead + 0.25)])
    _paint(pixels, video.actor, centre, hand, grid)
    if video.mirrored:
        pixels = pixels[:, :, ::-1]
    # The sum of two uniform numbers, of standard deviation 1: no logarithm is taken.
    grain: Doubles = np.sqrt(6.0) * (rng.random(pixels.shape) + rng.random(pixels.shape) - 1.0)
    return pixels + noise * grain


def wave(turns: Doubles) -> Doubles:
    """Two parabolas that are nearly the sine of ``turns`` cycles."""
    half = turns % 0.5
    curve: Doubles = 16.0 * half * (0.5 - half) * np.where(turns % 1.0 < 0.5, 1.0, -1.0)
    return curve


def _colours(place: Place, rows: Doubles, columns: Doubles) -> Doubles:
    """A place at rows ``(T, H)`` and columns ``(T, W)``, smooth between the corners: ``(T, H, W, 3)``."""
    frame, row = np.arange(len(rows))[:, None, None], np.arange(rows.shape[1])[None, :, None]
    total: Doubles = np.zeros((*rows.shape, columns.shape[1], 3)) + place.tone
    for cells, field in zip(OCTAVES, place.fields, strict=True):
        above, below, down = _cells(rows * cells, 2 * cells)
        left, right, across = _cells(columns * cells, 2 * cells)
        strips = field[above] + down[:, :, None, None] * (field[below] - field[above])
        west, east = (strips[frame, row, side[:, None, :]] for side in (left, right))
        total += west + across[:, None, :, None] * (east - west)
    return total


def _cells(points: Doubles, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Doubles]:
    """The corners before and behind each point, and how much the one behind counts."""
    before = np.floor(points)
    rest, corner = points - before, before.astype(np.int64)
    return corner % count, (corner + 1) % count, rest * rest * (3.0 - 2.0 * rest)


def _paint(pixels: Doubles, actor: Actor, centre: Doubles, hand: Doubles, grid: Doubles) -> None:
    """Draws an actor over ``pixels`` ``(T, H, W, 3)``, in place.

    Args:
        pixels: of the place.
        actor: its look.
        centre, hand: ``(2, T)`` where it is, and where its hand is from there, across and down.
        grid: ``(H,)`` centres of the pixels.
    """
    (width, height), (upper, lower, head, held) = actor.size, actor.tones
    small, offset, up = 0.5 * width, grid - centre[:, :, None], np.array([0.0, -height])[:, None, None]
    below = np.clip(offset[1] * len(grid) + 0.5, 0.0, 1.0)[:, :, None, None]
    for inside, tones in (
        (_ellipse(offset, width, height), upper + below * (lower - upper)),
        (_ellipse(offset - up, small, small), head),
        (_ellipse(offset - hand[:, :, None], small, small), held),
    ):
        pixels += inside * (tones - pixels)


def _ellipse(offset: Doubles, width: float, height: float) -> Doubles:
    """How much of each pixel an ellipse covers, ``(T, H, W, 1)``, with an edge of about one pixel.

    Args:
        offset: ``(2, T, side)`` of columns and rows from its centre.
        width, height: half of its own.
    """
    x, y = offset[0] / width, offset[1] / height
    rest = 1.0 - (x * x)[:, None, :] - (y * y)[:, :, None]
    sharpness = 0.5 * offset.shape[2] * min(width, height)
    covered: Doubles = np.clip(rest * sharpness + 0.5, 0.0, 1.0)[..., None]
    return covered
