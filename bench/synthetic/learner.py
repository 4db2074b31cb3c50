"""Gradient descent on what a set stores, for methods that learn it by matching; resumable to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch

from bench.api import SyntheticSet, Task
from bench.descent import Descent, Optimiser

_BUFFER = "buffer "


@final
class Learner:
    """Moves some tensors of a set down the gradient of a loss, in place.

    Args:
        synthetic: the set; any kind, through ``stored()`` and ``render()`` alone.
        rates: learning rate of each tensor to be learned, by its name in ``stored()``; the others stay as they are.
        momentum: of SGD.
        optimiser: ``sgd`` or ``adam``.
        floors: the least value of some tensors, by name.
    """

    def __init__(
        self,
        synthetic: SyntheticSet,
        rates: Mapping[str, float],
        momentum: float = 0.0,
        optimiser: Optimiser = "sgd",
        floors: Mapping[str, float] | None = None,
    ) -> None:
        everything = synthetic.stored()
        self.synthetic = synthetic
        self.learned = {name: everything[name] for name in rates}
        self._descent = Descent(self.learned, rates, optimiser, momentum)
        self._floors = dict(floors or {})

    def resume(self, task: Task) -> int:
        """Goes back to the cell's checkpoint, if it has one; returns the number of steps done."""
        kept = task.resume()
        if kept is None:
            return 0
        self._descent.load(kept[1])
        for name, tensor in self.synthetic.buffers().items():
            tensor.copy_(kept[1][_BUFFER + name])
        return kept[0]

    def state(self) -> dict[str, torch.Tensor]:
        """What `resume` needs: hand this to ``task.checkpoint``."""
        buffers = {_BUFFER + name: tensor for name, tensor in self.synthetic.buffers().items()}
        return {**self._descent.state(), **buffers}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Clips of the set, tracked for the next `update`."""
        self.track()
        return self.synthetic.render(index, rng)

    def track(self) -> None:
        """Has autograd follow the learned tensors until the next `update`."""
        for tensor in self.learned.values():
            tensor.requires_grad_(True)

    def update(self, loss: torch.Tensor) -> None:
        """One step down the gradient of ``loss``, a scalar computed from what is tracked."""
        self.apply(torch.autograd.grad(loss, list(self.learned.values()), allow_unused=True))

    def apply(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        """One step down these gradients, in the order of ``learned``; None is a tensor that the loss does not touch."""
        self._descent.apply(gradients)
        for name, least in self._floors.items():
            self.learned[name].clamp_(min=least)
        self.synthetic.updated()
