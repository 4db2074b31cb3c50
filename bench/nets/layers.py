"""Layers whose randomness comes from a named generator, never from the global one."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import nn

_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)


@final
class SeededDropout(nn.Module):
    """Dropout with its own generator (one per network), on the CPU so that every device draws the same masks."""

    def __init__(self, p: float, rng: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.rng = rng

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zeroes each value with probability ``p`` and scales the rest by ``1 / (1 - p)``; identity in evaluation."""
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape, generator=self.rng).to(x.device) >= self.p
        return x * keep / (1 - self.p)


def initialise(module: nn.Module, rng: torch.Generator) -> None:
    """Draws every weight of ``module`` from ``rng``, with PyTorch's default distributions, in definition order.

    The module may have been built on the meta device, where PyTorch's own initialisation draws nothing; it ends on the CPU.

    Convolutions and linear layers: uniform within ``1 / sqrt(fan_in)`` for weights and biases (Kaiming with a = sqrt 5);
    recurrent layers: uniform within ``1 / sqrt(hidden)``; norms: ones and zeros.

    Raises:
        TypeError: a layer with parameters whose initialisation is not known here.
    """
    module.to_empty(device="cpu")
    for layer in module.modules():
        own = dict(layer.named_parameters(recurse=False))
        if not own:
            continue
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            _uniform(own.values(), bound, rng)
        elif isinstance(layer, nn.RNNBase):
            _uniform(own.values(), 1 / math.sqrt(layer.hidden_size), rng)
        elif isinstance(layer, _NORMS):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
            if isinstance(layer, nn.modules.batchnorm._NormBase):
                layer.reset_running_stats()
        else:
            raise TypeError(f"no initialisation known for {type(layer).__name__}")


def _uniform(parameters: object, bound: float, rng: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in parameters:  # type: ignore[attr-defined]
            parameter.uniform_(-bound, bound, generator=rng)
