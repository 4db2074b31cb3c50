"""The transforms of differentiable siamese augmentation (Zhao & Bilen, ICML 2021), for clips.

Each takes clips ``(B, C, T, H, W)`` and returns as many, differentiable in them. What is drawn comes from the generator alone
and is the same for every clip of the batch and every frame of a clip: two batches that are given generators of one state
are transformed alike ("siamese"), and movement survives. The strengths are those of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from bench.core.upload import upload

Transform = Callable[["torch.Tensor", "torch.Generator"], "torch.Tensor"]

BRIGHTNESS = 1.0
SATURATION = 2.0
CONTRAST = 0.5
CROP = 0.125  # of the side: the most that a clip is shifted
CUTOUT = 0.5  # of the side: the square that is blanked
SCALE = 1.2
ROTATE = 15.0  # degrees


def siamese(clips: torch.Tensor, rng: torch.Generator, each: bool = False) -> torch.Tensor:
    """One transform, drawn from the six strategies (colour, crop, cutout, flip, scale, rotate).

    Args:
        clips: see above.
        rng: see above.
        each: whether every clip gets its own draw of that transform's strength, as when a network is trained on the set.
    """
    transform = TRANSFORMS[int(torch.randint(len(TRANSFORMS), (), generator=rng))]
    return torch.cat([transform(clip, rng) for clip in clips[:, None]]) if each else transform(clips, rng)


def colour(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Brightness, saturation and contrast, one after the other."""
    clips = clips + BRIGHTNESS * (_uniform(rng) - 0.5)
    grey = clips.mean(dim=1, keepdim=True)
    clips = grey + (clips - grey) * SATURATION * _uniform(rng)
    mean = clips.mean(dim=(1, 2, 3, 4), keepdim=True)
    return mean + (clips - mean) * (_uniform(rng) + CONTRAST)


def crop(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Shifts by up to an eighth of each side; what comes in is zero."""
    height, width = clips.shape[-2:]
    most = (int(height * CROP + 0.5), int(width * CROP + 0.5))
    down, right = (int(torch.randint(-m, m + 1, (), generator=rng)) for m in most)
    padded = torch.nn.functional.pad(clips, (most[1], most[1], most[0], most[0]))
    return padded[..., most[0] - down : most[0] - down + height, most[1] - right : most[1] - right + width]


def cutout(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Blanks a square of half the side, centred anywhere (it may hang over the border)."""
    mask = torch.ones(clips.shape[-2:], device=clips.device)
    spans = []
    for side in clips.shape[-2:]:
        cut = int(side * CUTOUT + 0.5)
        centre = int(torch.randint(side + (1 - cut % 2), (), generator=rng))
        spans.append(slice(max(0, centre - cut // 2), max(0, centre - cut // 2 + cut)))
    mask[spans[0], spans[1]] = 0
    return clips * mask


def flip(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Mirrors left and right, half of the time."""
    return clips.flip(-1) if _uniform(rng) < 0.5 else clips


def scale(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Stretches height and width, each by a factor between 1/1.2 and 1.2."""
    height, width = (_uniform(rng) * (SCALE - 1 / SCALE) + 1 / SCALE for _ in range(2))
    return _affine(clips, [[width, 0.0], [0.0, height]])


def rotate(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Turns by up to 15 degrees."""
    angle = math.radians((_uniform(rng) - 0.5) * 2 * ROTATE)
    return _affine(clips, [[math.cos(angle), math.sin(-angle)], [math.sin(angle), math.cos(angle)]])


TRANSFORMS: tuple[Transform, ...] = (colour, crop, cutout, flip, scale, rotate)


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


def _affine(clips: torch.Tensor, matrix: list[list[float]]) -> torch.Tensor:
    """Samples every frame at ``matrix`` times its coordinates (in [-1, 1]), bilinearly, zero outside."""
    batch, channels, frames, height, width = clips.shape
    images = clips.transpose(1, 2).reshape(batch * frames, channels, height, width)
    theta = upload(torch.tensor([[*row, 0.0] for row in matrix], dtype=clips.dtype), clips.device)
    grid = torch.nn.functional.affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    return moved.view(batch, frames, channels, height, width).transpose(1, 2)
