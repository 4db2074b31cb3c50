"""Orders in which the frames of a clip are shown, and clips rearranged into them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from bench.core.repeated_frames import repeat_frame, select

PROBES = ("shuffled", "reversed", "frozen", "half-rate")
"""The probes that every trained network is tested on, in the order of the tables."""


def reversed_order(frames: int) -> list[int]:
    """The last frame first."""
    return list(range(frames))[::-1]


def frozen_order(frames: int) -> list[int]:
    """The middle frame (``frames // 2``) all the time."""
    return [frames // 2] * frames


def half_rate_order(frames: int) -> list[int]:
    """Every second frame, each shown twice: half the temporal resolution at the same speed."""
    return [t - t % 2 for t in range(frames)]


def shuffled_order(frames: int, rng: torch.Generator) -> list[int]:
    """A random order that keeps no frame in its place and, from four frames on, no two neighbours beside each other.

    A shift by one keeps no frame in its place either, and nearly all of the movement: hence the second condition. Neither
    the identity nor, above two frames, the reversal can come out. A single frame stays where it is.
    """
    while True:
        order: list[int] = torch.randperm(frames, generator=rng).tolist()
        moved = frames == 1 or all(source != t for t, source in enumerate(order))
        parted = frames < 4 or all(abs(after - before) > 1 for before, after in pairwise(order))
        if moved and parted:
            return order


def rearrange(clips: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """Clips ``(B, C, T, H, W)`` that show frame ``order[t]`` at time t, memory layout kept; differentiable.

    One frame all the time is a view (`bench.core.repeated_frames`)."""
    if len(set(order)) == 1:
        return repeat_frame(clips[:, :, order[0]].unsqueeze(2), len(order))
    return select(clips, 2, torch.tensor(order))
