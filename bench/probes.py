"""Temporal probes: clips that show their frames in another order, or only some of them; shapes, labels and pixels stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch

from bench.api import Clips
from bench.kept import KeptClips
from bench.rng import generator
from bench.still import hold, taken

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

    One frame all the time is a view (`bench.still`)."""
    if len(set(order)) == 1:
        return hold(clips[:, :, order[0]].unsqueeze(2), len(order))
    return taken(clips, 2, torch.tensor(order))


def probed(clips: Clips, network: int, names: Sequence[str] = PROBES) -> dict[str, Clips]:
    """The clips under some of `PROBES`, by name.

    Args:
        clips: what networks are tested on.
        network: number of the tested network. It alone keys the shuffled order, which is the same for all clips, methods
            and distillation seeds.
        names: which probes.
    """
    orders: dict[str, Callable[[int], list[int]]] = {
        "shuffled": lambda frames: shuffled_order(frames, generator("evaluation", "shuffle", network)),
        "reversed": reversed_order,
        "frozen": frozen_order,
        "half-rate": half_rate_order,
    }
    return {name: RearrangedClips(clips, orders[name]) for name in names}


@final
class RearrangedClips(Clips):
    """Clips whose frames are shown in another order.

    Args:
        clips: the clips.
        order: gives the order, from the number of frames; see `rearrange`.
    """

    def __init__(self, clips: Clips, order: Callable[[int], Sequence[int]]) -> None:
        self.clips = clips
        self.order = order
        self.labels = clips.labels

    def views(self) -> int:
        """Stored windows per clip."""
        return self.clips.views()

    def streamed(self) -> bool:
        """As the clips are."""
        return self.clips.streamed()

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """See `Clips`."""
        clips = (self.clips.lent if isinstance(self.clips, KeptClips) else self.clips.batch)(index, view)
        return rearrange(clips, self.order(clips.shape[2]))
