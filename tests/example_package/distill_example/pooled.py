"""A network of one convolution, described without PyTorch's modules; they are loaded when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from bench.api import ClipShape, Network

if TYPE_CHECKING:
    from bench.core.classifier import Classifier

WIDTH = 32


@final
class Pooled(Network):
    """One 3D convolution of 32 channels, its mean over space, flattened over time."""

    name = "pooled"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A newly initialised network."""
        from distill_example._modules import PooledConv

        return PooledConv(classes, clip, WIDTH, rng)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Multiply-adds of the convolution, twice."""
        return 2.0 * 27 * clip.values() * WIDTH
