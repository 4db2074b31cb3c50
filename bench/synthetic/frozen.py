"""A set whose time stands still: what temporal gain compares a set with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch

from bench.api import SyntheticSet
from bench.config import Value
from bench.errors import BenchError
from bench.probes import frozen_order, rearrange


@final
class FrozenSet(SyntheticSet):
    """Another set, by reference, of which only the middle frame of each rendered clip is shown, all the time."""

    name = "frozen"
    archived = False

    def __init__(self, base: SyntheticSet) -> None:
        self.base = base
        self.labels = base.labels
        self.label_loss = base.label_loss
        self.rate = base.rate

    @classmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """Never archived.

        Raises:
            BenchError: always.
        """
        raise BenchError("a set of kind 'frozen' is not archived; freeze the set that it was made from again")

    def tensors(self) -> dict[str, torch.Tensor]:
        """Those of the set."""
        return self.base.tensors()

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The set's clips with their time frozen; draws what the set draws."""
        clips = self.base.render(index, rng)
        return rearrange(clips, frozen_order(clips.shape[2]))
