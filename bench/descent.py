"""An optimiser on named tensors whose whole state is named tensors, so that it can be checkpointed and go on to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, final

import torch

Optimiser = Literal["sgd", "adam"]


@final
class Descent:
    """torch.optim's SGD with momentum, or Adam with its default constants, on some tensors, in place.

    Args:
        tensors: what is moved, by name.
        rates: learning rate of each, by name.
        optimiser: which of the two.
        momentum: of SGD.
    """

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        rates: Mapping[str, float],
        optimiser: Optimiser = "sgd",
        momentum: float = 0.0,
    ) -> None:
        self.tensors = dict(tensors)
        groups = [{"params": [tensor], "lr": rates[name]} for name, tensor in self.tensors.items()]
        self._optimiser: torch.optim.Optimizer = (
            torch.optim.SGD(groups, momentum=momentum) if optimiser == "sgd" else torch.optim.Adam(groups)
        )

    def apply(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        """One step down these gradients, in the order of ``tensors``; None counts as zero."""
        for tensor, gradient in zip(self.tensors.values(), gradients, strict=True):
            tensor.requires_grad_(False)
            tensor.grad = torch.zeros_like(tensor) if gradient is None else gradient
        self._optimiser.step()
        for tensor in self.tensors.values():
            tensor.grad = None

    def reset(self) -> None:
        """Forgets moments and step counts."""
        self._optimiser.state.clear()

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors by name, and moments and step counts as ``name|key``: what `load` needs."""
        inner = {
            f"{name}|{key}": value
            for name, tensor in self.tensors.items()
            for key, value in self._optimiser.state.get(tensor, {}).items()
            if value is not None
        }
        return {**self.tensors, **inner}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Goes back to a `state`; other names in it are passed over."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(state[name])
                prefix = f"{name}|"
                kept = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
                self._optimiser.state[tensor] = kept
