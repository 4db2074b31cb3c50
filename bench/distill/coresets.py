"""What coresets share: real clips are stored as they were decoded, so a method says only which ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TypeVar, final

import torch
from typing_extensions import override

from bench.api import Footprint, Method, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, pixel_bytes

C = TypeVar("C")


class Coreset(Method[C]):
    """Real clips, uint8: the frames of them that the temporal setting stores."""

    @abstractmethod
    def choose(self, task: Task) -> Iterable[torch.Tensor]:
        """For each class, in order, the positions of its chosen clips: IPC of them, or all where there are fewer."""

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        return coreset(task, list(self.choose(task)))

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    @override
    def clip_passes(self, work: Workload) -> float:
        """Network passes of single clips that `choose` takes. Default: none."""
        return 0.0

    @override
    def footprint(self, work: Workload) -> Footprint:
        """What `choose` has in memory. Default: nothing."""
        return Footprint(networks=0.0)

    @final
    @override
    def declines(self, work: Workload) -> str | None:
        if work.setting.interpolation != "adaptive":
            return None
        return f"{self.name} learns nothing that could ask for more frames"
