"""Training one network on one set, and testing it: used by protocols and wherever a method needs a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from bench import bits
from bench.api import Clips, LabelLoss, Recipe, SyntheticSet
from bench.nets.classifier import Classifier

# Clips per forward pass where no gradient is needed; changes memory, not results.
TEST_BATCH = 128


def train(
    network: Classifier,
    data: SyntheticSet,
    recipe: Recipe,
    device: torch.device,
    order: torch.Generator,
    rendering: torch.Generator,
    progress: Callable[[int, int, float], None],
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

    Returns:
        The loss of the last update.
    """
    total = recipe.updates(len(data))
    labels = data.labels.to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    cuts = [int(fraction * total) for fraction in recipe.milestones]
    network.train()
    loss = torch.zeros(())
    for update, index in enumerate(_batches(len(data), recipe.batch, order, total)):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * recipe.decay ** sum(update >= cut for cut in cuts)
        with torch.no_grad():
            clips = data.render(index, rendering).to(device)
        loss = _loss(network(clips), labels[index.to(device)], data.label_loss)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if (update + 1) % max(1, total // 20) == 0:
            progress(update + 1, total, float(loss.detach()))
    network.eval()
    return float(loss.detach())


def _loss(logits: torch.Tensor, labels: torch.Tensor, kind: LabelLoss) -> torch.Tensor:
    """The mean loss over a batch. Half the squared distance has gradients of the size of cross-entropy's."""
    if kind == "squared":
        return 0.5 * (logits - labels).square().sum(dim=1).mean()
    return torch.nn.functional.cross_entropy(logits, labels)


def _batches(clips: int, batch: int, order: torch.Generator, total: int) -> Iterator[torch.Tensor]:
    done = 0
    while done < total:
        for index in _chunks(torch.randperm(clips, generator=order), batch):
            if done == total:
                return
            yield index
            done += 1


def _chunks(index: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    chunks: tuple[torch.Tensor, ...] = torch.split(index, size)
    return chunks


@dataclass(frozen=True)
class TestResult:
    """Raw counts over test clips.

    Attributes:
        confusion: ``[true][predicted]``.
        top5: clips whose true class is among the five best, or None where there are at most 10 classes.
        correct_clips: which clips were classified correctly, in order, packed by `bench.bits`.
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
    for index in _chunks(torch.arange(len(clips)), batch):
        scores = sum(
            (network(clips.batch(index, view)).softmax(dim=1) for view in range(clips.views())),
            start=torch.zeros(()),
        )
        truth = clips.labels[index]
        best = scores.topk(min(5, classes), dim=1).indices.cpu()
        confusion.index_put_((truth, best[:, 0]), torch.ones(len(index), dtype=torch.int64), accumulate=True)
        top5 += int((best == truth[:, None]).any(dim=1).sum())
        correct += (best[:, 0] == truth).tolist()
    return TestResult(tuple(map(tuple, confusion.tolist())), top5 if classes > 10 else None, bits.pack(correct))


test.__test__ = False  # type: ignore[attr-defined]


@torch.no_grad()
def training_accuracy(network: Classifier, data: SyntheticSet, rendering: torch.Generator) -> float:
    """Share of the set's own clips that the network classifies as labelled (soft labels: as their largest entry)."""
    device = next(network.parameters()).device
    truth = data.labels if data.labels.dim() == 1 else data.labels.argmax(dim=1)
    correct = 0
    for index in _chunks(torch.arange(len(data)), TEST_BATCH):
        predicted = network(data.render(index, rendering).to(device)).argmax(dim=1).cpu()
        correct += int((predicted == truth[index].cpu()).sum())
    return correct / len(data)
