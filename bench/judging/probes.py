"""Temporal probes: clips that show their frames in another order, or only some of them; shapes, labels and pixels stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from typing_extensions import override

from bench.api import Clips
from bench.core.frame_order import PROBES, frozen_order, half_rate_order, rearrange, reversed_order, shuffled_order
from bench.core.rng import generator
from bench.judging.cached_clips import CachedClips


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

    @override
    def views(self) -> int:
        return self.clips.views()

    @override
    def mirrors(self) -> bool:
        return self.clips.mirrors()

    @override
    def streamed(self) -> bool:
        return self.clips.streamed()

    @override
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        clips = (self.clips.lent if isinstance(self.clips, CachedClips) else self.clips.batch)(index, view)
        return rearrange(clips, self.order(clips.shape[2]))
