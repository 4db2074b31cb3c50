"""The protocols: how a set is judged. Each is a few numbers; what they mean is `bench.training`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch

from bench.api import Checkpoints, Clips, Evaluation, Protocol, Recipe, SyntheticSet

if TYPE_CHECKING:
    from bench.nets.classifier import Classifier


@final
class Standard(Protocol):
    """500 epochs of SGD from shared network seeds, fixed normalisation, fixed test windows, the final epoch."""

    name = "standard"
    version = 1
    networks = 5
    recipe = Recipe(epochs=500, batch=256, lr=0.01)
    fit_threshold = 0.9

    def evaluate(
        self,
        train: SyntheticSet,
        test: Clips,
        classes: int,
        build: Callable[[torch.Generator], Classifier],
        network: int,
        progress: Callable[[int, int, float], None],
        probes: Mapping[str, Clips] | None = None,
        saved: Checkpoints | None = None,
    ) -> Evaluation:
        """See `Protocol`."""
        return _train_and_test(self, train, test, classes, build, network, progress, probes or {}, saved)


@final
class Quick(Protocol):
    """`standard` for a CPU in minutes: lr 0.03, at most 200 epochs or 600 updates of 64 clips."""

    name = "quick"
    version = 1
    networks = 3
    recipe = Recipe(epochs=200, batch=64, lr=0.03, max_updates=600)
    fit_threshold = 0.9

    def evaluate(
        self,
        train: SyntheticSet,
        test: Clips,
        classes: int,
        build: Callable[[torch.Generator], Classifier],
        network: int,
        progress: Callable[[int, int, float], None],
        probes: Mapping[str, Clips] | None = None,
        saved: Checkpoints | None = None,
    ) -> Evaluation:
        """See `Protocol`."""
        return _train_and_test(self, train, test, classes, build, network, progress, probes or {}, saved)


def _train_and_test(
    protocol: Protocol,
    data: SyntheticSet,
    clips: Clips,
    classes: int,
    build: Callable[[torch.Generator], Classifier],
    number: int,
    progress: Callable[[int, int, float], None],
    probes: Mapping[str, Clips],
    saved: Checkpoints | None,
) -> Evaluation:
    from bench import training
    from bench.rng import generator

    # Keyed by the network's number alone: every method and every distillation seed meets the same networks.
    network = build(generator("evaluation", "network", number))
    device = next(network.parameters()).device
    rendering = generator("evaluation", "render", number)
    loss = training.train(
        network, data, protocol.recipe, device, generator("evaluation", "order", number), rendering, progress, saved
    )
    result = training.test(network, clips, classes)
    accuracy = training.training_accuracy(network, data, rendering)
    return Evaluation(
        network=number,
        confusion=result.confusion,
        top5=result.top5,
        train_accuracy=accuracy,
        fitted=accuracy >= protocol.fit_threshold,
        loss=loss if math.isfinite(loss) else None,
        updates=protocol.recipe.updates(len(data)),
        probes={name: training.test(network, altered, classes).correct() for name, altered in probes.items()},
        correct_clips=result.correct_clips,
    )
