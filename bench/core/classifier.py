"""What methods and protocols use of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Classifier(nn.Module, ABC):
    """A video classifier whose features can be read.

    Attributes:
        most_clips: clips that it is given at a time where memory is short (`bench.nets.microbatch`), or None.
    """

    most_clips: int | None = None

    @abstractmethod
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """The flattened output of the convolutional stack, ``(B, F)``, of clips ``(B, C, T, H, W)``."""

    @abstractmethod
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """What the classifying layer reads, ``(B, D)``: the penultimate activations."""

    @abstractmethod
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)``."""
