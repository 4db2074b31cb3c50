"""The evaluation of the published code (github.com/yuz1wan/video_distillation), to compare with published figures.

Its test is random, because windows are drawn, and flips where the data allow them. It also depends on the batch, because each
batch is standardised by its own mean and standard deviation. docs/protocols.md says what is the same here and what is not.
Figures of this protocol and of `standard` are never mixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Checkpoints, Clips, Evaluation, Protocol, Recipe, SyntheticSet
from bench.core.schedules import rising_cosine
from bench.core.upload import upload
from bench.judging.mirrored import MirroredSet, mirrored, mirrored_where

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.judging.training import Course, TestResult

PASSES = 3
"""How often all test clips are classified, each time in newly drawn windows. The counts are pooled."""

TEST_BATCH = 64
"""Test clips that are standardised together."""

CHECKPOINTS = 10
"""How often the network is tested during training, at evenly spaced points. The last is at the end."""

EPOCHS, CUT = 501, 252
"""For sets with class labels: how many epochs there are, and how many of them have the full learning rate."""

SQUARED_EPOCHS, SQUARED_LR, SQUARED_WARMUP = 1001, 1e-4, 100
"""For sets whose labels are targets of a squared error (FRePo): epochs, AdamW's learning rate, and the epochs it rises for."""


@final
class Wang2024(Protocol):
    """501 epochs of SGD on standardised batches, a tenth of the rate after 252; tests three passes in random windows, pooled.

    Real clips are mirrored half of the time, in training and in testing, where that does not change their class. If the set has
    a learned rate, networks are trained with it. If its labels are targets, they are trained with AdamW on the mean squared error
    for 1,001 epochs, and batches are not standardised.
    """

    name = "wang2024"
    version = 2
    networks = 5
    recipe = Recipe(epochs=EPOCHS, batch=256, lr=0.01, milestones=(CUT / EPOCHS,))
    fit_threshold = 0.9
    frozen_training = False

    @override
    def training_batch(self, clips: torch.Tensor, mirrors: bool, rng: torch.Generator) -> torch.Tensor:
        return _standardised(mirrored(clips, rng) if mirrors else clips)

    @override
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
        """Trains and tests a network. Confusion, top-5 and probes count each test clip three times."""
        from bench.core.rng import generator
        from bench.judging import training

        squared = train.label_loss == "squared" and train.labels.is_floating_point()
        built = build(generator("evaluation", "network", network))
        classifier = built if squared else standardising(built)
        data = MirroredSet(train) if train.mirrors else train
        rendering = generator("evaluation", "render", network)
        order = generator("evaluation", "order", network)
        epochs = SQUARED_EPOCHS if squared else EPOCHS
        updates = epochs * -(-len(train) // self.recipe.batch)
        due = {-(-epochs * point // CHECKPOINTS) for point in range(1, CHECKPOINTS + 1)}

        def tested(clips: Clips, epoch: int) -> TestResult:
            return pooled_test(classifier, clips, classes, generator("evaluation", "windows", network, epoch))

        checkpoints = _tested_before(saved)
        course = (_squared if squared else _sgd)(built, train, self.recipe)
        for done, last in training.updates(built, data, course, order, rendering, _with_tests(saved, checkpoints)):
            if done * epochs % updates == 0 and (epoch := done * epochs // updates) in due:
                classifier.eval()
                result, loss = tested(test, epoch), float(last)
                checkpoints.append(result.correct())
                progress(done, updates, loss)
        classifier.eval()
        accuracy = training.training_accuracy(classifier, data, rendering)
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
    """A network that first standardises each batch by its own mean and standard deviation over all its values."""
    from bench.core.classifier import Classifier

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


def _sgd(network: Classifier, data: SyntheticSet, recipe: Recipe) -> Course:
    """SGD on the cross-entropy of standardised batches. After the cut, the rate is a tenth and momentum starts again."""
    from bench.judging.training import Course

    rate = recipe.lr if data.rate is None else float(data.rate)
    optimiser = torch.optim.SGD(network.parameters(), rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    epoch = -(-len(data) // recipe.batch)

    def before(update: int) -> None:
        if update == CUT * epoch:  # the published code makes a new optimiser here
            optimiser.state.clear()
        optimiser.param_groups[0]["lr"] = rate if update < CUT * epoch else rate * recipe.decay

    loss = torch.nn.functional.cross_entropy
    return Course(recipe.batch, EPOCHS * epoch, optimiser, before, loss, _standardised)


def _squared(network: Classifier, data: SyntheticSet, recipe: Recipe) -> Course:
    """AdamW on the mean squared error. The rate rises, then falls along a cosine."""
    from bench.judging.training import Course

    optimiser = torch.optim.AdamW(network.parameters(), SQUARED_LR, weight_decay=recipe.weight_decay)
    epoch = -(-len(data) // recipe.batch)
    rates = rising_cosine(SQUARED_LR, SQUARED_EPOCHS, SQUARED_WARMUP)  # before training: a resumed one has them at once

    def before(update: int) -> None:
        optimiser.param_groups[0]["lr"] = rates[update // epoch]

    return Course(recipe.batch, SQUARED_EPOCHS * epoch, optimiser, before, torch.nn.functional.mse_loss)


_TESTED = "tested"


def _tested_before(saved: Checkpoints | None) -> list[int]:
    """The correct counts so far of an interrupted training."""
    checkpoint = None if saved is None else saved.resume()
    tested: list[int] = [] if checkpoint is None else checkpoint[1][_TESTED].tolist()
    return tested


def _with_tests(saved: Checkpoints | None, tested: list[int]) -> Checkpoints | None:
    """Checkpoints that also hold the correct counts so far."""
    return None if saved is None else _WithTests(saved, tested)


@final
class _WithTests(Checkpoints):
    """Checkpoints that also hold the correct counts so far; ``tested`` grows while the network trains."""

    def __init__(self, saved: Checkpoints, tested: list[int]) -> None:
        self.saved = saved
        self.tested = tested

    @override
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        self.saved.checkpoint(step, lambda: {**state(), _TESTED: torch.tensor(self.tested, dtype=torch.int64)})

    @override
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        return self.saved.resume()


# ----------------------------------------------------------------------------------------------------------------------
# Testing


def pooled_test(network: Classifier, clips: Clips, classes: int, rng: torch.Generator) -> TestResult:
    """Classifies every clip once per pass, as `DrawnClips` of ``rng`` show it. Adds up the counts."""
    from bench.core import bitstrings
    from bench.judging import training

    results = [training.test(network, DrawnClips(clips, rng), classes, TEST_BATCH) for _ in range(PASSES)]
    total = torch.tensor([result.confusion for result in results]).sum(dim=0)
    correct = [flag for result in results for flag in bitstrings.unpack(result.correct_clips, len(clips))]
    top5 = [result.top5 for result in results if result.top5 is not None]
    return training.TestResult(tuple(map(tuple, total.tolist())), sum(top5) if top5 else None, bitstrings.pack(correct))


@final
class DrawnClips(Clips):
    """Each clip in one of its stored windows and, if the data allow it, mirrored or not. Both are drawn once, with equal chances."""

    def __init__(self, clips: Clips, rng: torch.Generator) -> None:
        self.clips = clips
        self.labels = clips.labels
        self.window = torch.randint(clips.views(), (len(clips),), generator=rng)
        drawn = torch.rand(len(clips), generator=rng) < 0.5
        self.mirrored = drawn if clips.mirrors() else torch.zeros_like(drawn)

    @override
    def views(self) -> int:
        return 1

    @override
    def streamed(self) -> bool:
        return self.clips.streamed()

    @override
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        windows = self.window[index]
        shown = torch.empty(0)
        for number in sorted(set(windows.tolist())):
            places = (windows == number).nonzero().flatten()
            clips = self.clips.batch(index[places], number)
            if len(shown) == 0:
                shown = clips.new_empty(len(index), *clips.shape[1:])
            shown[upload(places, clips.device)] = clips
        return mirrored_where(shown, self.mirrored[index])
