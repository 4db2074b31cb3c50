"""Sets that exist only while they are used. They store nothing new, so nothing is archived."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.errors import BenchError


class UnarchivedSet(SyntheticSet):
    """A set that refers to data kept elsewhere, or that becomes another set in the end."""

    archived = False

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """Does not restore anything.

        Raises:
            BenchError: always.
        """
        raise BenchError(f"a set of kind '{cls.name}' is not archived; run the method that gave it again")


class ViewedSet(UnarchivedSet):
    """Another set, by reference, whose clips are shown in another way: a subclass says how in ``render``.

    Args:
        base: the other set.
    """

    def __init__(self, base: SyntheticSet) -> None:
        self.base = base
        self.labels = base.labels
        self.label_loss = base.label_loss
        self.rate = base.rate

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return self.base.tensors()

    @override
    def streamed(self) -> bool:
        return self.base.streamed()
