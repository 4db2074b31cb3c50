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
