"""A network as a function of one flat parameter vector, so that unrolled training can be differentiated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


def flatten(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """All numbers of some tensors as one vector ``(P,)``."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def use_masks(network: Classifier, rng: torch.Generator) -> None:
    """Draws the network's dropout masks from ``rng`` from now on: the same generator state gives the same masks."""
    from bench.nets.layers import SeededDropout

    for layer in network.modules():
        if isinstance(layer, SeededDropout):
            layer.rng = rng


@final
class FlatNetwork:
    """A network in training mode whose parameters are handed in at every call.

    Args:
        network: gives the architecture. Its own parameters are not changed, and only `parameters` reads them.
    """

    def __init__(self, network: Classifier) -> None:
        self.network = network.train().requires_grad_(False)
        self._names = [name for name, _ in network.named_parameters()]
        self._shapes = [parameter.shape for parameter in network.parameters()]
        self._sizes = [parameter.numel() for parameter in network.parameters()]

    def parameters(self) -> torch.Tensor:
        """The network's own parameters, ``(P,)``."""
        return flatten(self.network.parameters())

    def logits(self, theta: torch.Tensor, clips: torch.Tensor, masks: torch.Generator) -> torch.Tensor:
        """Logits ``(B, classes)``.

        Args:
            theta: ``(P,)`` parameters in the order of ``network.parameters()``.
            clips: ``(B, C, T, H, W)``.
            masks: draws the dropout masks.
        """
        use_masks(self.network, masks)
        parts = [
            part.view(shape) for part, shape in zip(torch.split(theta, self._sizes), self._shapes, strict=True)
        ]  # fmt: skip
        logits: torch.Tensor = torch.func.functional_call(
            self.network, dict(zip(self._names, parts, strict=True)), (clips,)
        )
        return logits
