"""Gradient descent on what a set stores, for methods that learn it by matching; resumable to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, final

import torch

from bench.api import SyntheticSet, Task

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
