"""A set whose time stands still: what temporal gain compares a set with."""

from __future__ import annotations

from typing import final

import torch

from bench.api import SyntheticSet
from bench.core.frame_order import frozen_order, rearrange
from bench.sets.transient import UnarchivedSet


@final
class FrozenSet(UnarchivedSet):
    """Another set, by reference, of which only the middle frame of each rendered clip is shown, all the time."""

    name = "frozen"

    def __init__(self, base: SyntheticSet) -> None:
        self.base = base
        self.labels = base.labels
        self.label_loss = base.label_loss
        self.rate = base.rate

    def tensors(self) -> dict[str, torch.Tensor]:
        """Those of the set."""
        return self.base.tensors()

    def streamed(self) -> bool:
        """As the set is."""
        return self.base.streamed()

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The set's clips with their time frozen; draws what the set draws."""
        clips = self.base.render(index, rng)
        return rearrange(clips, frozen_order(clips.shape[2]))
