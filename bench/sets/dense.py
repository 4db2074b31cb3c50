"""The plain synthetic set: every frame of every clip is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.upload import upload


@final
class DenseSet(SyntheticSet):
    """Whole clips, learned (float32, normalised) or chosen (uint8, as decoded: nothing is lost and a quarter is stored).

    Attributes:
        clips: ``(N, C, T, H, W)`` float32 in network units, or uint8 pixels.
        labels: see `SyntheticSet`.
    """

    name = "dense"

    def __init__(self, clips: torch.Tensor, labels: torch.Tensor) -> None:
        self.clips = clips
        self.labels = labels

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        return cls(tensors["clips"], labels)

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"clips": self.clips}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The clips as they are; uint8 ones are normalised."""
        clips = self.clips[upload(index, self.clips.device)]
        if clips.dtype == torch.uint8:
            from bench.data.pixels import normalise

            return normalise(clips)
        return clips
