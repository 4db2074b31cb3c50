"""Training one network on one set, and testing it: used by protocols and wherever a method needs a trained network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from bench.api import Checkpoints, Clips, LabelLoss, Recipe, SyntheticSet
from bench.core import bitstrings
from bench.core.classifier import Classifier
from bench.core.upload import upload
from bench.data.prefetch import ahead
from bench.judging import snapshots
from bench.nets.microbatch import parts

# Clips per forward pass where no gradient is needed; changes memory, not results.
TEST_BATCH = 128

_LOSS = "loss"


def train(
    network: Classifier,
    data: SyntheticSet,
    recipe: Recipe,
    device: torch.device,
    order: torch.Generator,
    rendering: torch.Generator,
    progress: Callable[[int, int, float], None],
    saved: Checkpoints | None = None,
) -> float:
    """Trains ``network`` in place by the recipe; each batch is rendered anew.

    Args:
        network: on ``device``.
        data: the set; integer labels give cross-entropy, float labels cross-entropy with these probabilities or half the
            squared distance of the logits from them, as the set's ``label_loss`` says.
        recipe: see `Recipe`.
        device: where the network lives.
        order: draws the order of clips, a permutation per epoch.
        rendering: handed to ``data.render``.
        progress: called with (updates done, updates in all, loss) about every twentieth of the training.
        saved: keeps the state of the training, and gives back what an interrupted one kept.

    Returns:
        The loss of the last update.
    """
    total = recipe.updates(len(data))
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    cuts = [int(fraction * total) for fraction in recipe.milestones]

    def set_rate(update: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * recipe.decay ** sum(update >= cut for cut in cuts)

    course = Course(recipe.batch, total, optimiser, set_rate, functools.partial(_loss, kind=data.label_loss))
    loss = torch.zeros(())
    for done, loss in updates(network, data, course, order, rendering, saved):
        if done % max(1, total // 20) == 0:
            progress(done, total, float(loss))
    network.eval()
    return float(loss)


@dataclass(frozen=True)
class Course:
    """How a network is trained, update by update.

    Attributes:
        batch: clips per update.
        total: updates in all.
        optimiser: of the network's parameters.
        before: called with the number of each update (from 0) before it, to set the optimiser's rate.
        loss: mean loss of logits ``(B, classes)`` and labels.
        prepare: what the network sees of a rendered batch.
    """

    batch: int
    total: int
    optimiser: torch.optim.Optimizer
    before: Callable[[int], None]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    prepare: Callable[[torch.Tensor], torch.Tensor] = lambda clips: clips


def updates(
    network: Classifier,
    data: SyntheticSet,
    course: Course,
    order: torch.Generator,
    rendering: torch.Generator,
    saved: Checkpoints | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Trains ``network`` in place; gives (updates done, loss) after each, and goes on from what ``saved`` kept.

    The network may be tested between two updates. A training that goes on gives the update that it was kept after once more:
    what its user did then may have been lost.
    """
    device = next(network.parameters()).device
    labels = upload(data.labels, device)
    checkpoint = None if saved is None else saved.resume()
    done = 0
    if checkpoint is not None:
        done, state = checkpoint
        snapshots.restore(state, network, course.optimiser, (order, rendering))
        yield done, state[_LOSS]
    batches = _batches(len(data), course.batch, order, done, course.total)
    for index, drawn, clips, rendered_to in rendered(data, batches, rendering, device):
        network.train()
        course.before(done)
        loss = _step(network, course, course.prepare(clips), labels[upload(index, device)])
        done += 1
        if saved is not None:
            saved.checkpoint(done, functools.partial(_state, network, course.optimiser, (drawn, rendered_to), loss))
        yield done, loss


def _state(
    network: Classifier, optimiser: torch.optim.Optimizer, draws: Sequence[torch.Tensor], loss: torch.Tensor
) -> dict[str, torch.Tensor]:
    return {**snapshots.snapshot(network, optimiser, draws), _LOSS: loss}


def _step(network: Classifier, course: Course, clips: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """One update; the loss before it. Where memory is short gradients are added up over parts of the batch."""
    course.optimiser.zero_grad(set_to_none=True)
    size = parts(network, len(clips))
    if size == len(clips):
        loss = course.loss(network(clips), labels)
        loss.backward()  # type: ignore[no-untyped-call]
    else:
        loss = torch.zeros((), device=clips.device)
        for some, wanted in zip(_chunks(clips, size), _chunks(labels, size), strict=True):
            share = course.loss(network(some), wanted) * (len(some) / len(clips))
            share.backward()  # type: ignore[no-untyped-call]
            loss = loss + share.detach()
    course.optimiser.step()
    return loss.detach()


def rendered(
    data: SyntheticSet,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    rng: torch.Generator,
    device: torch.device,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Each batch (positions, and what goes with them), its clips on the device, without gradient, and the state of ``rng`` after it.

    Read ahead if the clips come from the disk.
    """

    def made() -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        for index, other in batches:
            with torch.no_grad():  # here, for it holds for one thread only
                clips = upload(data.render(index, rng), device)
            yield index, other, clips, rng.get_state()

    return ahead(made(), data.streamed())


def _loss(logits: torch.Tensor, labels: torch.Tensor, kind: LabelLoss) -> torch.Tensor:
    """The mean loss over a batch. Half the squared distance has gradients of the size of cross-entropy's."""
    if kind == "squared":
        return 0.5 * (logits - labels).square().sum(dim=1).mean()
    return torch.nn.functional.cross_entropy(logits, labels)


def _batches(
    clips: int, batch: int, order: torch.Generator, done: int, total: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The positions of each update from number ``done`` on, and the state of ``order`` from which what follows it is drawn."""
    epoch = -(-clips // batch)
    while done < total:
        before = order.get_state()
        for index in _chunks(torch.randperm(clips, generator=order), batch)[done % epoch :]:
            if done == total:
                return
            done += 1
            yield index, before if done % epoch else order.get_state()


def _chunks(tensor: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    chunks: tuple[torch.Tensor, ...] = torch.split(tensor, size)
    return chunks


@dataclass(frozen=True)
class TestResult:
    """Raw counts over test clips.

    Attributes:
        confusion: ``[true][predicted]``.
        top5: clips whose true class is among the five best, or None where there are at most 10 classes.
        correct_clips: which clips were classified correctly, in order, packed by `bench.core.bitstrings`.
    """

    __test__ = False  # not a pytest class

    confusion: tuple[tuple[int, ...], ...]
    top5: int | None
    correct_clips: str

    def correct(self) -> int:
        """Number of clips classified correctly."""
        return sum(row[i] for i, row in enumerate(self.confusion))


@torch.no_grad()
def test(network: Classifier, clips: Clips, classes: int, batch: int = TEST_BATCH) -> TestResult:  # noqa: PT028 (no pytest test)
    """Classifies each clip by its class probabilities averaged over its windows; ``batch`` clips at a time."""
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    top5 = 0
    correct: list[bool] = []
    chunks = _chunks(torch.arange(len(clips)), batch)
    windows = ahead((clips.batch(index, view) for index in chunks for view in range(clips.views())), clips.streamed())
    for index in chunks:
        scores = sum(
            (network(next(windows)).softmax(dim=1) for _ in range(clips.views())),
            start=torch.zeros(()),
        )
        truth = clips.labels[index]
        best = scores.topk(min(5, classes), dim=1).indices.cpu()
        confusion.index_put_((truth, best[:, 0]), torch.ones(len(index), dtype=torch.int64), accumulate=True)
        top5 += int((best == truth[:, None]).any(dim=1).sum())
        correct += (best[:, 0] == truth).tolist()
    return TestResult(tuple(map(tuple, confusion.tolist())), top5 if classes > 10 else None, bitstrings.pack(correct))


test.__test__ = False  # type: ignore[attr-defined]


@torch.no_grad()
def training_accuracy(network: Classifier, data: SyntheticSet, rendering: torch.Generator) -> float:
    """Share of the set's own clips that the network classifies as labelled (soft labels: as their largest entry)."""
    device = next(network.parameters()).device
    truth = data.hard_labels()
    correct = 0
    batches = (
        (index, truth[upload(index, truth.device)].cpu()) for index in _chunks(torch.arange(len(data)), TEST_BATCH)
    )
    for _, wanted, clips, _ in rendered(data, batches, rendering, device):
        correct += int((network(clips).argmax(dim=1).cpu() == wanted).sum())
    return correct / len(data)
