"""A network that computes in bfloat16, around one that computes in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import final

import torch
from typing_extensions import override

from bench.core.classifier import Classifier
from bench.core.precision import Precision


@final
class HalvedNetwork(Classifier):
    """Runs a network under autocast: convolutions and linear layers in bfloat16, parameters and what comes out in float32.

    Args:
        network: keeps its parameters in float32.
        gradients: False if passes that record gradients stay in float32.
    """

    def __init__(self, network: Classifier, gradients: bool) -> None:
        super().__init__()
        self.network = network
        self.gradients = gradients

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        return self._run(self.network.features, clips)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        return self._run(self.network.embedding, clips)

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self._run(self.network, clips)

    def _run(self, function: Callable[[torch.Tensor], torch.Tensor], clips: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and not self.gradients:
            return function(clips)
        # Without its cache of weights: a weight that was cast without gradients must not serve a pass with them.
        halved = torch.autocast(clips.device.type, torch.bfloat16, cache_enabled=False)
        with halved if clips.dtype == torch.float32 else contextlib.nullcontext():
            return function(clips).to(clips.dtype)


def to_distil(network: Classifier, precision: Precision) -> Classifier:
    """The network as methods use it: unchanged, or wrapped so that it computes in bfloat16."""
    return _halved(network, gradients=precision == "bf16") if precision in ("bf16", "bf16-real") else network


def to_judge(network: Classifier, precision: Precision) -> Classifier:
    """The network as protocols use it: unchanged, or wrapped so that it computes in bfloat16."""
    return _halved(network, gradients=True) if precision == "bf16" else network


def _halved(network: Classifier, gradients: bool) -> Classifier:
    return HalvedNetwork(network, gradients)
