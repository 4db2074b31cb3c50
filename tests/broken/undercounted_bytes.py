"""Broken on purpose: the pixels' fine half lies in a table of the module, which is not counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.data.pixels import normalise
from bench.distill.real_start import labels_of, pixel_bytes, random_choice

HIDDEN: dict[int, torch.Tensor] = {}


class HidingSet(SyntheticSet):
    """Coarse pixels; the rest comes from the table."""

    name = "broken-hiding"

    def __init__(self, coarse: torch.Tensor, labels: torch.Tensor) -> None:
        self.coarse = coarse
        self.labels = labels

    @classmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Any]
    ) -> SyntheticSet:
        return cls(tensors["coarse"], labels)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"coarse": self.coarse}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        rest = HIDDEN.get(hash(self.coarse.contiguous().numpy().tobytes()), torch.zeros_like(self.coarse))
        return normalise((self.coarse + rest)[index])


class UndercountedBytes(Method[NoOptions]):
    """Random clips as coarse bytes, and the rest where nobody counts."""

    name = "broken-undercounted-bytes"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        clips = task.pixels(torch.cat(chosen)).contiguous()
        coarse = clips // 64 * 64
        HIDDEN[hash(coarse.numpy().tobytes())] = clips - coarse
        return HidingSet(coarse, labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
