"""The network that coresets are chosen with: trained once on the real clips, for all methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import final

import torch
from typing_extensions import override

from bench.api import Recipe, Task, Upstream
from bench.core.config import Value
from bench.core.files import canonical_json


@final
class TrainedNetwork(Upstream):
    """A network trained on the training split."""

    name = "trained-network"
    parts = 1

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @override
    def key(self) -> Mapping[str, Value]:
        return {"recipe": canonical_json(asdict(self.recipe))}

    @override
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """The network's weights."""
        from bench.judging.training import train

        network = task.network(task.rng("trained network"))
        order, rendering = task.rng("trained network order"), task.rng("trained network render")
        train(network, task.real_set(), self.recipe, task.device, order, rendering, _as_progress(task), task)
        return network.state_dict()


def shortened(recipe: Recipe) -> Recipe:
    """A protocol's recipe for a network that only has to know the data, not to be judged: 20 epochs, a third of the updates."""
    most = None if recipe.max_updates is None else recipe.max_updates // 3
    return replace(recipe, epochs=min(recipe.epochs, 20), max_updates=most)


def _as_progress(task: Task) -> Callable[[int, int, float], None]:
    return lambda step, total, loss: task.progress(step, total, loss=loss)
