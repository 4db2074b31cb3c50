"""How most protocols judge a set: networks trained on it from seeds that all sets share, each tested once, at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Checkpoints, Clips, Evaluation, Protocol, SyntheticSet

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


class FinalEpoch(Protocol):
    """SGD by the recipe, one test after the final epoch; what a protocol adds are its numbers."""

    @override
    @final
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
        from bench.core.rng import generator
        from bench.judging import training

        # Keyed by the network's number alone: every method and every distillation seed meets the same networks.
        judge = build(generator("evaluation", "network", network))
        device = next(judge.parameters()).device
        rendering = generator("evaluation", "render", network)
        order = generator("evaluation", "order", network)
        loss = training.train(judge, train, self.recipe, device, order, rendering, progress, saved)
        result = training.test(judge, test, classes)
        accuracy = training.training_accuracy(judge, train, rendering)
        return Evaluation(
            network=network,
            confusion=result.confusion,
            top5=result.top5,
            train_accuracy=accuracy,
            fitted=accuracy >= self.fit_threshold,
            loss=loss if math.isfinite(loss) else None,
            updates=self.recipe.updates(len(train)),
            probes={name: training.test(judge, clips, classes).correct() for name, clips in (probes or {}).items()},
            correct_clips=result.correct_clips,
        )
