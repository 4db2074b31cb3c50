"""Broken on purpose: restore() makes the set again without its decoder, which tensors() leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import labels_of, pixel_bytes, random_choice


class DecodedSet(SyntheticSet):
    """Codes, and the decoder that they need."""

    name = "broken-decoded"

    def __init__(self, codes: torch.Tensor, decoder: torch.Tensor, labels: torch.Tensor) -> None:
        self.codes = codes
        self.decoder = decoder
        self.labels = labels

    @classmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Any]
    ) -> SyntheticSet:
        return cls(tensors["codes"], torch.tensor(1.0), labels)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"codes": self.codes}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.codes[index] * self.decoder


class ForgetsItsDecoder(Method[NoOptions]):
    """Random clips, brightened by a decoder that is not stored."""

    name = "broken-forgets-its-decoder"

    def distill(self, task: Task) -> SyntheticSet:
        chosen = random_choice(task)
        return DecodedSet(task.clips(torch.cat(chosen)).contiguous(), torch.tensor(1.5), labels_of(chosen))

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return 0.0
