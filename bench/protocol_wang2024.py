"""The evaluation of the published code (github.com/yuz1wan/video_distillation), so that published figures have a neighbour.

Its test is random (windows and flips are drawn) and depends on the batch (each is standardised by its own mean and standard
deviation); what is the same here and what is not stands in docs/concepts.md. Figures of it and of `standard` never mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, final

import torch

from bench.api import Clips, Evaluation, Protocol, Recipe, SyntheticSet

if TYPE_CHECKING:
    from bench.nets.classifier import Classifier
    from bench.training import TestResult

PASSES = 3
"""Times that all test clips are classified, each time in newly drawn windows; the counts are pooled."""

TEST_BATCH = 64
"""Test clips that are standardised together."""

CHECKPOINTS = 10
"""Evenly spaced points of the training at which the network is tested, the last at its end."""

EPOCHS, CUT = 501, 252
"""Epochs for sets with class labels, and how many of them have the full learning rate."""

SQUARED_EPOCHS, SQUARED_LR, SQUARED_WARMUP = 1001, 1e-4, 100
"""For sets whose labels are targets of a squared error (FRePo): epochs, learning rate of AdamW, epochs of its linear rise."""


@final
class Wang2024(Protocol):
    """SGD for 501 epochs on standardised batches, a tenth of the rate after 252; tested in random windows, three passes pooled.

    A set with a learned rate is trained at it; a set whose labels are targets is trained by AdamW on the mean squared error
    for 1,001 epochs, and its batches are not standardised.
    """

    name = "wang2024"
    version = 1
    networks = 5
    recipe = Recipe(epochs=EPOCHS, batch=256, lr=0.01, milestones=(CUT / EPOCHS,))
    fit_threshold = 0.9
    frozen_training = False

    def evaluate(
        self,
        train: SyntheticSet,
        test: Clips,
        classes: int,
        build: Callable[[torch.Generator], Classifier],
        network: int,
        progress: Callable[[int, int, float], None],
        probes: Mapping[str, Clips] | None = None,
    ) -> Evaluation:
        """See `Protocol`. Confusion, top-5 and probes count each test clip three times."""
        from bench import training
        from bench.rng import generator

        squared = train.label_loss == "squared" and train.labels.is_floating_point()
        built = build(generator("evaluation", "network", network))
        classifier = built if squared else standardising(built)
        rendering = generator("evaluation", "render", network)
        order = generator("evaluation", "order", network)
        epochs = SQUARED_EPOCHS if squared else EPOCHS
        updates = epochs * -(-len(train) // self.recipe.batch)
        due = {-(-epochs * point // CHECKPOINTS) for point in range(1, CHECKPOINTS + 1)}

        def tested(clips: Clips, epoch: int) -> TestResult:
            return pooled_test(classifier, clips, classes, generator("evaluation", "windows", network, epoch))

        losses = (_squared if squared else _sgd)(classifier, train, self.recipe, order, rendering)
        checkpoints = []
        for epoch, loss in enumerate(losses, 1):
            if epoch in due:
                result = tested(test, epoch)
                checkpoints.append(result.correct())
                progress(epoch * updates // epochs, updates, loss)
        accuracy = training.training_accuracy(classifier, train, rendering)
        return Evaluation(
            network=network,
            confusion=result.confusion,
            top5=result.top5,
            train_accuracy=accuracy,
            fitted=accuracy >= self.fit_threshold,
            loss=loss if math.isfinite(loss) else None,
            updates=updates,
            probes={name: tested(altered, epochs).correct() for name, altered in (probes or {}).items()},
            correct_clips=result.correct_clips,
            checkpoints=tuple(checkpoints),
        )


def standardising(network: Classifier) -> Classifier:
    """The network with each batch's own mean and standard deviation (over all of its numbers) taken out before it."""
    from bench.nets.classifier import Classifier

    class Standardising(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def features(self, clips: torch.Tensor) -> torch.Tensor:
            return self.network.features(_standardised(clips))

        def embedding(self, clips: torch.Tensor) -> torch.Tensor:
            return self.network.embedding(_standardised(clips))

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(_standardised(clips))
            return logits

    return Standardising()


def _standardised(clips: torch.Tensor) -> torch.Tensor:
    return (clips - clips.mean()) / clips.std()


# ----------------------------------------------------------------------------------------------------------------------
# Training


def _sgd(
    network: Classifier, data: SyntheticSet, recipe: Recipe, order: torch.Generator, rendering: torch.Generator
) -> Iterator[float]:
    """Trains by SGD on the cross-entropy; the last loss of each epoch. The optimiser is a new one after the cut."""
    rate = recipe.lr if data.rate is None else float(data.rate)
    for epoch in range(EPOCHS):
        if epoch in (0, CUT):
            optimiser = torch.optim.SGD(
                network.parameters(), rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
            )
            rate *= recipe.decay
        yield _epoch(network, data, recipe.batch, order, rendering, optimiser, torch.nn.functional.cross_entropy)


def _squared(
    network: Classifier, data: SyntheticSet, recipe: Recipe, order: torch.Generator, rendering: torch.Generator
) -> Iterator[float]:
    """Trains by AdamW on the mean squared error, the rate rising, then falling along a cosine; the last loss of each epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), SQUARED_LR, weight_decay=recipe.weight_decay)
    rise = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.01, total_iters=SQUARED_WARMUP)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, SQUARED_EPOCHS, eta_min=0.01 * SQUARED_LR)
    schedule = torch.optim.lr_scheduler.ChainedScheduler([rise, fall])
    for _ in range(SQUARED_EPOCHS):
        yield _epoch(network, data, recipe.batch, order, rendering, optimiser, torch.nn.functional.mse_loss)
        schedule.step()


def _epoch(
    network: Classifier,
    data: SyntheticSet,
    batch: int,
    order: torch.Generator,
    rendering: torch.Generator,
    optimiser: torch.optim.Optimizer,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> float:
    """One pass over the set in a new order; the loss of its last batch."""
    from bench import training

    device = next(network.parameters()).device
    network.train()
    loss = torch.zeros(())
    batches = torch.randperm(len(data), generator=order).split(batch)  # type: ignore[no-untyped-call]
    for index, clips in training.rendered(data, batches, rendering, device):
        loss = loss_of(network(clips), data.labels[index.to(data.labels.device)].to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    return float(loss.detach())


# ----------------------------------------------------------------------------------------------------------------------
# Testing


def pooled_test(network: Classifier, clips: Clips, classes: int, rng: torch.Generator) -> TestResult:
    """Classifies every clip once a pass, in a window and with or without a flip drawn from ``rng``; all counts added up."""
    from bench import bits, training

    results = [training.test(network, DrawnClips(clips, rng), classes, TEST_BATCH) for _ in range(PASSES)]
    total = torch.tensor([result.confusion for result in results]).sum(dim=0)
    correct = [flag for result in results for flag in bits.unpack(result.correct_clips, len(clips))]
    top5 = [result.top5 for result in results if result.top5 is not None]
    return training.TestResult(tuple(map(tuple, total.tolist())), sum(top5) if top5 else None, bits.pack(correct))


@final
class DrawnClips(Clips):
    """Each clip in one of its stored windows, mirrored or not, both drawn once, with equal chances."""

    def __init__(self, clips: Clips, rng: torch.Generator) -> None:
        self.clips = clips
        self.labels = clips.labels
        self.window = torch.randint(clips.views(), (len(clips),), generator=rng)
        self.mirrored = torch.rand(len(clips), generator=rng) < 0.5

    def views(self) -> int:
        """One: the drawn one."""
        return 1

    def streamed(self) -> bool:
        """As the clips are."""
        return self.clips.streamed()

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """See `Clips`."""
        windows = self.window[index]
        shown = torch.empty(0)
        for number in sorted(set(windows.tolist())):
            places = (windows == number).nonzero().flatten()
            found = self.clips.batch(index[places], number)
            if len(shown) == 0:
                shown = found.new_empty(len(index), *found.shape[1:])
            shown[places.to(found.device)] = found
        mirrored = self.mirrored[index].to(shown.device).view(-1, 1, 1, 1, 1)
        return torch.where(mirrored, shown.flip(-1), shown)
