"""The modules of `pooled`."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.nets.layers import initialise


@final
class PooledConv(Classifier):
    """Conv3d (k 3), group norm, ReLU, mean over height and width, linear layer."""

    def __init__(self, classes: int, clip: ClipShape, width: int, rng: torch.Generator) -> None:
        super().__init__()
        with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
            self.stack = nn.Sequential(nn.Conv3d(clip.channels, width, 3, padding=1), nn.GroupNorm(4, width), nn.ReLU())
            self.head = nn.Linear(width * clip.frames, classes)
        initialise(self, rng)  # every weight from rng

    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, width * T)``."""
        return self.stack(clips).mean(dim=(3, 4)).flatten(1)  # type: ignore[no-any-return]

    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """The same: what the head reads."""
        return self.features(clips)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)``."""
        return self.head(self.embedding(clips))  # type: ignore[no-any-return]
