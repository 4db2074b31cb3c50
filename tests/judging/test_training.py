"""Training against a plain loop written from the textbook, testing against hand counts, and what protocols share."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.api import Clips, ClipShape, Recipe, SyntheticSet
from bench.core.classifier import Classifier
from bench.core.rng import generator
from bench.judging import training
from bench.sets.dense import DenseSet

CPU = torch.device("cpu")


class Linear(Classifier):
    """Clips to logits by one matrix, in double precision."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(classes, inputs, generator=generator("w"), dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.zeros(classes, dtype=torch.float64))

    def features(self, clips):
        return clips.flatten(1).double()

    def embedding(self, clips):
        return clips.flatten(1).double()

    def forward(self, clips):
        return self.features(clips) @ self.weight.T + self.bias


def data(labels, count=7):
    return DenseSet(torch.randn(count, 3, 2, 2, 2, generator=generator("clips")), labels)


HARD = torch.tensor([0, 1, 2, 0, 1, 2, 0])
SOFT = torch.softmax(torch.randn(7, 3, generator=generator("soft"), dtype=torch.float64), dim=1)


def reference(clips, targets, recipe, total, order):
    """SGD with momentum and weight decay as in the textbook; gradients of cross-entropy by hand."""
    x = torch.cat([clips.flatten(1).double(), torch.ones(len(clips), 1, dtype=torch.float64)], dim=1)
    initial = Linear(24, 3)
    w = torch.cat([initial.weight.detach(), initial.bias.detach()[:, None]], dim=1)
    velocity = torch.zeros_like(w)
    queue = []
    for update in range(total):
        if not queue:
            queue = list(torch.randperm(len(x), generator=order).split(recipe.batch))
        index = queue.pop(0)
        lr = recipe.lr
        for fraction in recipe.milestones:
            lr = lr * recipe.decay if update >= int(fraction * total) else lr
        probability = torch.softmax(x[index] @ w.T, dim=1)
        loss = -(targets[index] * torch.log(probability)).sum(dim=1).mean()
        gradient = (probability - targets[index]).T @ x[index] / len(index) + recipe.weight_decay * w
        velocity = recipe.momentum * velocity + gradient
        w = w - lr * velocity
    return w, float(loss)


@pytest.mark.parametrize("labels", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("recipe", "total"),
    [
        (Recipe(4, 3, 0.1), 12),
        (Recipe(4, 3, 0.1, max_updates=7), 7),
        (Recipe(4, 64, 0.1, max_updates=100), 4),
        (Recipe(5, 2, 0.3, momentum=0.0, weight_decay=0.1, milestones=()), 20),
        (Recipe(5, 2, 0.3, momentum=0.5, weight_decay=0.0, milestones=(0.3, 0.6), decay=0.2), 20),
        (Recipe(1, 7, 0.5), 1),
    ],
)
def test_training_is_the_textbooks(labels, recipe, total):
    network = Linear(24, 3)
    synthetic = data(labels)
    steps = []
    loss = training.train(
        network, synthetic, recipe, CPU, generator("order"), generator("render"), lambda *step: steps.append(step)
    )
    targets = torch.nn.functional.one_hot(HARD, 3).double() if labels is HARD else SOFT
    w, expected = reference(synthetic.clips, targets, recipe, total, generator("order"))
    torch.testing.assert_close(network.weight.detach(), w[:, :-1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(network.bias.detach(), w[:, -1], rtol=1e-9, atol=1e-12)
    assert loss == pytest.approx(expected, rel=1e-9)
    assert recipe.updates(7) == total
    assert steps[-1] == (total, total, loss)
    assert not network.training


def test_the_learning_rate_falls_at_the_milestone_and_not_an_update_before():
    """Without momentum and decay, and with a gradient that hardly changes, each update is as long as the rate."""
    synthetic = DenseSet(torch.zeros(2, 3, 2, 2, 2), torch.tensor([0, 0]))
    lengths = []

    class Watched(Linear):
        def forward(self, clips):
            lengths.append(self.bias.detach().clone())
            return super().forward(clips)

    recipe = Recipe(10, 2, 1e-3, momentum=0.0, weight_decay=0.0, milestones=(0.4, 0.9))
    training.train(Watched(24, 3), synthetic, recipe, CPU, generator("o"), generator("r"), lambda *_: None)
    moved = torch.stack(lengths).diff(dim=0).norm(dim=1)
    rates = [round(float(length / moved[0]), 3) for length in moved]
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 5, rel=0.02)


def test_every_epoch_sees_every_clip_once():
    seen = []

    class Watched(SyntheticSet):
        name = "watched"
        labels = HARD

        @classmethod
        def restore(cls, tensors, labels, options):
            raise NotImplementedError

        def tensors(self):
            return {}

        def render(self, index, rng):
            seen.append(index.tolist())
            return torch.zeros(len(index), 3, 2, 2, 2)

    training.train(
        Linear(24, 3), Watched(), Recipe(3, 3, 0.1), CPU, generator("o"), generator("r"), lambda *_: None
    )  # fmt: skip
    assert [len(batch) for batch in seen] == [3, 3, 1] * 3
    epochs = [[*seen[start], *seen[start + 1], *seen[start + 2]] for start in (0, 3, 6)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 3
    assert epochs[0] != epochs[1]


# ----------------------------------------------------------------------------------------------------------------------
# Testing


class Table(Classifier):
    """Logits that stand in the clips themselves: ``clips[:, class, 0, 0, 0]``."""

    def __init__(self, classes=3):
        super().__init__()
        self.classes = classes
        self.scale = torch.nn.Parameter(torch.ones(()))

    def features(self, clips):
        return clips[:, : self.classes, 0, 0, 0]

    def embedding(self, clips):
        return clips[:, : self.classes, 0, 0, 0]

    def forward(self, clips):
        return self.features(clips) * self.scale


class Listed(Clips):
    """Clips given as logits ``(N, views, classes)``."""

    def __init__(self, logits, labels):
        self.logits = torch.tensor(logits, dtype=torch.float32)
        self.labels = torch.tensor(labels)

    def views(self):
        return self.logits.shape[1]

    def batch(self, index, view):
        return self.logits[index, view, :, None, None, None]


def test_the_confusion_matrix_has_truth_in_rows():
    one_hot = torch.eye(3) * 5
    predicted = [0, 1, 1, 2, 0, 2]
    clips = Listed([[one_hot[i].tolist()] for i in predicted], [0, 0, 1, 1, 2, 2])
    result = training.test(Table(), clips, 3)
    assert result.confusion == ((1, 1, 0), (0, 1, 1), (1, 0, 1))
    assert result.correct_clips == "a4"  # 1010 01
    assert result.top5 is None


def test_probabilities_not_logits_are_averaged_over_windows():
    # Two windows lean towards class 1, one is certain of class 0 by a huge logit: its probability is still only 1.
    logits = [[[9.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0]]]
    clips = Listed(logits, [1])
    assert torch.tensor(logits).mean(dim=1).argmax() == 0
    assert training.test(Table(), clips, 3).confusion == ((0, 0, 0), (0, 1, 0), (0, 0, 0))


def test_top_five_counts_where_there_are_more_than_ten_classes():
    ranks = [0, 1, 4, 5, 11]  # the true class's place among the scores
    logits = []
    for rank in ranks:
        scores = [-float(place) for place in range(12)]
        scores[0], scores[rank] = scores[rank], scores[0]
        logits.append([scores])
    result = training.test(Table(12), Listed(logits, [0] * 5), 12)
    assert result.top5 == 3
    assert result.confusion[0] == (1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1)


def test_more_clips_than_fit_a_batch_are_all_counted(monkeypatch):
    monkeypatch.setattr(training, "TEST_BATCH", 4)
    labels = [i % 3 for i in range(11)]
    clips = Listed([[(torch.eye(3)[label] * 5).tolist()] for label in labels], labels)
    assert training.test(Table(), clips, 3).confusion == ((4, 0, 0), (0, 4, 0), (0, 0, 3))


@pytest.mark.parametrize(
    "labels", [torch.tensor([0, 1, 2, 2]), torch.tensor([[9, 0, 0], [1, 2, 0], [0, 1, 5], [0, 0, 1.0]])]
)
def test_training_accuracy_is_the_share_of_the_sets_own_labels(labels):
    logits = torch.eye(3)[[0, 1, 0, 2]] * 5
    synthetic = DenseSet(logits[:, :, None, None, None], labels)
    assert training.training_accuracy(Table(), synthetic, generator("r")) == 0.75


# ----------------------------------------------------------------------------------------------------------------------
# Protocols


@pytest.fixture
def judge(registries):
    """Evaluates network ``number`` of the tiny protocol on a set; returns the evaluation and the network's first weights."""
    kind = registries.networks.get("convnet3d-small")()

    def judge(synthetic, number, protocol="tiny"):
        weights = []

        def build(rng):
            network = kind.build(3, ClipShape(3, 4, 16, 16), rng)
            weights.append({name: value.clone() for name, value in network.state_dict().items()})
            return network

        test = Pixels(torch.randn(9, 3, 4, 16, 16, generator=generator("test")), torch.arange(9) % 3)
        evaluation = registries.protocols.get(protocol)().evaluate(
            synthetic, test, 3, build, number, lambda *_: None
        )  # fmt: skip
        return evaluation, weights[0]

    return judge


class Pixels(Clips):
    """Clips in memory."""

    def __init__(self, clips, labels):
        self.clips = clips
        self.labels = labels

    def views(self):
        return 1

    def batch(self, index, view):
        return self.clips[index]


def small_set(name, ipc=1):
    labels = torch.arange(3).repeat_interleave(ipc)
    return DenseSet(torch.randn(3 * ipc, 3, 4, 16, 16, generator=generator(name)), labels)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_all_sets_meet_the_same_networks(judge):
    first = [judge(small_set(name, ipc), 1)[1] for name, ipc in (("a", 1), ("b", 1), ("c", 4))]
    assert same(first[0], first[1])
    assert same(first[0], first[2])
    assert not same(first[0], judge(small_set("a"), 0)[1])


def test_an_evaluation_depends_neither_on_those_before_it_nor_on_global_generators(judge):
    synthetic = small_set("a", 2)
    forth = [judge(synthetic, number)[0] for number in (0, 1, 2)]
    torch.manual_seed(7)
    back = [judge(synthetic, number)[0] for number in (2, 1, 0)]
    assert forth == back[::-1]
    assert len({entry.loss for entry in forth}) == 3


def test_an_evaluation_says_whether_the_set_was_fitted_and_survives_divergence(judge, registries):
    protocol = registries.protocols.get("tiny")
    fitted, _ = judge(small_set("a"), 0, "quick")
    assert fitted.fitted
    assert fitted.train_accuracy == 1.0
    assert fitted.updates == 200
    poisoned = small_set("a")
    poisoned.clips[0] = torch.nan
    diverged, _ = judge(poisoned, 0)
    assert diverged.loss is None
    assert diverged.tested() == 9
    assert diverged.updates == protocol.recipe.max_updates == 6


def test_the_published_protocols_have_their_published_figures(registries):
    standard = registries.protocols.get("standard")
    assert dataclasses.asdict(standard.recipe) == {
        "epochs": 500, "batch": 256, "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "milestones": (0.5,),
        "decay": 0.1, "max_updates": None,
    }  # fmt: skip
    assert standard.networks >= 3
