"""Stochastic gradient descent on what a set stores, for methods that learn it by matching; resumable to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch

from bench.api import SyntheticSet, Task


@final
class Learner:
    """SGD with momentum on some tensors of a set, in place: ``v <- m v + g``, ``x <- x - lr v`` (as torch.optim.SGD).

    Args:
        synthetic: the set; any kind, through its ``tensors()`` and ``render()`` alone.
        rates: learning rate of each tensor to be learned, by name; the others stay as they are.
        momentum: m.
    """

    def __init__(self, synthetic: SyntheticSet, rates: Mapping[str, float], momentum: float) -> None:
        everything = synthetic.tensors()
        self.synthetic = synthetic
        self.rates = dict(rates)
        self.momentum = momentum
        self.learned = {name: everything[name] for name in rates}
        self.velocity = {name: torch.zeros_like(tensor) for name, tensor in self.learned.items()}

    def resume(self, task: Task) -> int:
        """Goes back to the cell's checkpoint, if it has one; returns the number of steps done."""
        kept = task.resume()
        if kept is None:
            return 0
        step, state = kept
        for name, tensor in self.learned.items():
            tensor.copy_(state[name])
            self.velocity[name].copy_(state[f"{name}.velocity"])
        return step

    def state(self) -> dict[str, torch.Tensor]:
        """What `resume` needs: hand this to ``task.checkpoint``."""
        return {**self.learned, **{f"{name}.velocity": value for name, value in self.velocity.items()}}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Clips of the set, tracked for the next `update`."""
        for tensor in self.learned.values():
            tensor.requires_grad_(True)
        return self.synthetic.render(index, rng)

    def update(self, loss: torch.Tensor) -> None:
        """One step down the gradient of ``loss``, a scalar computed from `render`."""
        gradients = torch.autograd.grad(loss, list(self.learned.values()))
        with torch.no_grad():
            for (name, tensor), gradient in zip(self.learned.items(), gradients, strict=True):
                tensor.requires_grad_(False)
                self.velocity[name].mul_(self.momentum).add_(gradient)
                tensor.sub_(self.velocity[name], alpha=self.rates[name])
