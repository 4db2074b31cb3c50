"""Gradient descent on what a set stores, for methods that learn it by matching; resumable to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, final

import torch

from bench.api import Metric, SyntheticSet, Task
from bench.distill.gradient_blocks import Block, in_blocks, pulled_back

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

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Learning rates from now on, by name. They are no part of the state: give them again before each step."""
        for name, group in zip(self.tensors, self._optimiser.param_groups, strict=True):
            group["lr"] = rates[name]

    def reset(self) -> None:
        """Forgets moments and step counts."""
        self._optimiser.state.clear()

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors by name, and moments and step counts as ``name|key``: what `load` needs."""
        moments = {
            f"{name}|{key}": value
            for name, tensor in self.tensors.items()
            for key, value in self._optimiser.state.get(tensor, {}).items()
            if value is not None
        }
        return {**self.tensors, **moments}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Goes back to a `state`; other names in it are passed over."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(state[name])
                prefix = f"{name}|"
                moments = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
                if "step" in moments:  # a plain count, which Adam reads in every step: on a GPU each reading would wait
                    moments["step"] = moments["step"].cpu()
                self._optimiser.state[tensor] = moments


_BUFFER = "buffer "


@final
class Learner:
    """Moves some tensors of a set down the gradient of a loss, in place.

    A method's loop is ``for step in learner.steps(task, count)``. Each turn moves the set once, by `update`, `update_in_blocks`
    or `apply`; reports and checkpoints are seen to between the turns.

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
        stored = synthetic.stored()
        self.synthetic = synthetic
        self.learned = {name: stored[name] for name in rates}
        self._descent = Descent(self.learned, rates, optimiser, momentum)
        self._floors = dict(floors or {})
        self._metrics: dict[str, Metric] = {}

    def steps(
        self,
        task: Task,
        count: int,
        updates: int = 1,
        more: Callable[[], Mapping[str, torch.Tensor]] = dict,
    ) -> Iterator[int]:
        """The numbers of the steps that are left, from the task's checkpoint on.

        After each, its metrics are reported and a checkpoint is offered.

        Args:
            task: the task.
            count: steps in all.
            updates: of the set in each step; these are what the user sees counted.
            more: what checkpoints hold beside `state`; the method itself goes back to it.
        """
        for step in range(self.resume(task), count):
            yield step
            task.progress((step + 1) * updates, count * updates, **self._metrics)
            task.checkpoint(step + 1, lambda: {**self.state(), **more()})

    def resume(self, task: Task) -> int:
        """Goes back to the cell's checkpoint, if it has one; returns the number of steps done."""
        checkpoint = task.resume()
        if checkpoint is None:
            return 0
        done, state = checkpoint
        self._descent.load(state)
        for name, tensor in self.synthetic.buffers().items():
            tensor.copy_(state[_BUFFER + name])
        return done

    def state(self) -> dict[str, torch.Tensor]:
        """What `resume` needs, for ``task.checkpoint``."""
        buffers = {_BUFFER + name: tensor for name, tensor in self.synthetic.buffers().items()}
        return {**self._descent.state(), **buffers}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Learning rates from now on, by name: for a schedule, given in every step and computed from its number alone."""
        self._descent.set_rates(rates)

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
        gradients = torch.autograd.grad(loss, list(self.learned.values()), allow_unused=True)
        self.apply(gradients, loss=loss.detach())

    def update_in_blocks(
        self, blocks: Sequence[Block], rng: torch.Generator, loss_of: Callable[[Block, torch.Tensor], torch.Tensor]
    ) -> None:
        """One step down a loss that is a sum over classes, with the graph of one block of them in memory at a time.

        Args:
            blocks: see `bench.distill.gradient_blocks.class_blocks`.
            rng: for rendering the set, once.
            loss_of: the loss of a block, given its clips; see `bench.distill.gradient_blocks.in_blocks`.
        """
        clips = self.render(torch.arange(len(self.synthetic)), rng)
        loss, gradient = in_blocks(clips, blocks, loss_of)
        self.apply(pulled_back(clips, gradient, list(self.learned.values())), loss=loss)

    def apply(self, gradients: tuple[torch.Tensor | None, ...], **metrics: Metric) -> None:
        """One step down these gradients, in the order of ``learned``; None is a tensor that the loss does not touch.

        Args:
            gradients: one for each learned tensor.
            metrics: what `steps` reports of this update: its loss, say.
        """
        self._descent.apply(gradients)
        for name, least in self._floors.items():
            self.learned[name].clamp_(min=least)
        self.synthetic.updated()
        self._metrics = metrics
