"""A set whose time stands still: what temporal gain compares a set with."""

from __future__ import annotations

from typing import final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.frame_order import frozen_order, rearrange
from bench.sets.transient import ViewedSet


@final
class FrozenSet(ViewedSet):
    """Another set, by reference, of which only the middle frame of each rendered clip is shown, all the time."""

    name = "frozen"

    def __init__(self, base: SyntheticSet) -> None:
        super().__init__(base)
        self.mirrors = base.mirrors

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        clips = self.base.render(index, rng)
        return rearrange(clips, frozen_order(clips.shape[2]))
