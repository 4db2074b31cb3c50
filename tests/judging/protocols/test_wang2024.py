"""The published code's evaluation against loops written out, on a linear network and few clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.api import Clips
from bench.core import bitstrings as bits
from bench.core.classifier import Classifier
from bench.core.rng import generator
from bench.judging.cached_clips import CachedClips
from bench.judging.mirrored import MirroredSet
from bench.judging.probes import probed
from bench.judging.protocols import wang2024 as protocol_wang2024
from bench.judging.protocols.wang2024 import DrawnClips, Wang2024, pooled_test, standardising
from bench.sets.dense import DenseSet

CLASSES, SHAPE = 3, (3, 2, 2, 2)


class Linear(Classifier):
    """Clips to logits by one matrix."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(CLASSES, math.prod(SHAPE), generator=generator("w")))

    def features(self, clips):
        return clips.flatten(1)

    def embedding(self, clips):
        return clips.flatten(1)

    def forward(self, clips):
        return clips.flatten(1) @ self.weight.T


class Real(Clips):
    """Clips ``(N, views, ...)``, each window brighter than the one before."""

    def __init__(self, count=150, views=2, mirrors=True):
        rng = generator("real")
        self.mirrored = mirrors
        self.clips = torch.randn(count, views, *SHAPE, generator=rng)
        self.clips += torch.arange(views).view(1, -1, 1, 1, 1, 1) + 3 * torch.rand(count, 1, 1, 1, 1, 1, generator=rng)
        self.labels = torch.randint(CLASSES, (count,), generator=rng)

    def views(self):
        return self.clips.shape[1]

    def mirrors(self):
        return self.mirrored

    def batch(self, index, view):
        return self.clips[index, view]


def counted(real, weight, rng, standardise=True):
    """Confusion and results of each clip over three passes, batches of 64, one clip after the other in NumPy."""
    confusion, results = np.zeros((CLASSES, CLASSES), int), []
    for _ in range(3):
        window = torch.randint(real.views(), (len(real),), generator=rng).tolist()
        mirrored = (real.mirrors() & (torch.rand(len(real), generator=rng) < 0.5)).tolist()
        for start in range(0, len(real), 64):
            places = range(start, min(start + 64, len(real)))
            clips = np.stack([real.clips[i, window[i]].numpy()[..., :: -1 if mirrored[i] else 1] for i in places])
            if standardise:
                clips = (clips - clips.mean()) / clips.std(ddof=1)
            for i, clip in zip(places, clips, strict=True):
                predicted = int((weight @ clip.reshape(-1)).argmax())
                confusion[int(real.labels[i]), predicted] += 1
                results.append(predicted == int(real.labels[i]))
    return tuple(map(tuple, confusion.tolist())), results


@pytest.mark.parametrize("mirrors", [True, False])
def test_the_test_is_three_passes_of_standardised_batches_in_drawn_windows(mirrors):
    real, network = Real(mirrors=mirrors), Linear()
    weight = network.weight.detach().numpy()
    result = pooled_test(standardising(network), real, CLASSES, generator("t"))
    confusion, results = counted(real, weight, generator("t"))
    assert result.confusion == confusion
    assert bits.unpack(result.correct_clips, 450) == results
    assert result.top5 is None
    plain = pooled_test(network, real, CLASSES, generator("t"))
    assert plain.confusion == counted(real, weight, generator("t"), standardise=False)[0] != confusion


def test_windows_and_mirroring_are_drawn_evenly():
    real = Real(count=2000, views=3)
    drawn = DrawnClips(real, generator("d"))
    assert drawn.window.bincount().tolist() == pytest.approx([667] * 3, abs=90)
    assert int(drawn.mirrored.sum()) == pytest.approx(1000, abs=100)
    again = DrawnClips(real, generator("e"))
    assert not torch.equal(drawn.window, again.window)


@pytest.mark.parametrize("kept", [CachedClips, lambda clips, layout: probed(clips, 0)["reversed"]])
def test_no_clip_is_mirrored_where_left_and_right_are_classes(kept):
    """Two classes that are each other's mirror image: one flip alone would make a right answer wrong."""
    real = Real(count=200, views=1, mirrors=False)
    real.labels = torch.arange(200) % 2
    real.clips = torch.zeros(200, 1, *SHAPE)
    real.clips[torch.arange(200), ..., real.labels] = 1
    network = Linear()
    brightness = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).repeat_interleave(math.prod(SHAPE) // 2, dim=1)
    network.weight.data = brightness.view(3, 2, -1).transpose(1, 2).reshape(3, -1)
    for clips in (real, kept(real, torch.contiguous_format)):
        assert not clips.mirrors()
        assert sum(bits.unpack(pooled_test(network, clips, CLASSES, generator("t")).correct_clips, 600)) == 600
    real.mirrored = True
    right = sum(bits.unpack(pooled_test(network, real, CLASSES, generator("t")).correct_clips, 600))
    assert right == pytest.approx(300, abs=75)


def synthetic(**more):
    made = DenseSet(torch.randn(7, *SHAPE, generator=generator("s")) + 1, torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def by_hand(made, epochs, cut, rate, batch):
    """SGD on standardised batches as in the textbook, the momentum forgotten at the cut; the weights after each epoch."""
    order, flips = generator("evaluation", "order", 3), generator("evaluation", "render", 3)
    w = Linear().weight.detach().double()
    found = []
    for epoch in range(epochs):
        if epoch in (0, cut):
            velocity = torch.zeros_like(w)
        for index in torch.randperm(7, generator=order).split(batch):
            clips = made.clips[index].double()
            if made.mirrors:
                drawn = (torch.rand(len(index), generator=flips) < 0.5).tolist()
                clips = torch.stack([clip.flip(-1) if flip else clip for clip, flip in zip(clips, drawn, strict=True)])
            x = ((clips - clips.mean()) / clips.std()).flatten(1)
            error = torch.softmax(x @ w.T, dim=1) - torch.nn.functional.one_hot(made.labels[index], CLASSES)
            velocity = 0.9 * velocity + error.T @ x / len(index) + 5e-4 * w
            w = w - (rate if epoch < cut else 0.1 * rate) * velocity
        found.append(w.numpy())
    return found


def evaluated(made, real, probes=()):
    """The evaluation, the trained weights and what was told of progress."""
    network, told = Linear(), []
    outcome = Wang2024().evaluate(
        made, real, CLASSES, lambda rng: network, 3, lambda *step: told.append(step), probed(real, 3, probes)
    )
    return outcome, network.weight.detach(), told


@pytest.mark.parametrize("rate", [None, 0.3])
def test_training_checkpoints_and_inflation_are_those_of_the_loop(monkeypatch, rate):
    monkeypatch.setattr(protocol_wang2024, "EPOCHS", 25)
    monkeypatch.setattr(protocol_wang2024, "CUT", 13)
    made, real = synthetic(rate=None if rate is None else torch.tensor(rate)), Real()
    outcome, weight, told = evaluated(made, real, ("reversed",))
    weights = by_hand(made, 25, 13, rate or 0.01, 256)
    torch.testing.assert_close(weight.double(), torch.from_numpy(weights[-1]), rtol=1e-4, atol=1e-5)
    counts = []
    for epoch in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25):
        confusion, results = counted(real, weights[epoch - 1], generator("evaluation", "windows", 3, epoch))
        counts.append(sum(results))
    assert outcome.checkpoints == tuple(counts)
    assert outcome.confusion == confusion
    assert outcome.correct() == counts[-1]
    assert outcome.selection_inflation() == pytest.approx((max(counts) - counts[-1]) / 450)
    assert outcome.selection_inflation() >= 0
    assert (outcome.updates, told[-1][:2]) == (25, (25, 25))
    backwards = Real()
    backwards.clips = real.clips.flip(3)  # time
    reversed_, _ = counted(backwards, weights[-1], generator("evaluation", "windows", 3, 25))
    assert outcome.probes == {"reversed": sum(reversed_[k][k] for k in range(CLASSES))}


def test_a_last_batch_is_smaller_and_standardised_by_itself(monkeypatch):
    monkeypatch.setattr(protocol_wang2024, "EPOCHS", 3)
    monkeypatch.setattr(protocol_wang2024, "CUT", 2)
    monkeypatch.setattr(Wang2024, "recipe", type(Wang2024.recipe)(epochs=3, batch=4, lr=0.1))
    outcome, weight, _ = evaluated(synthetic(), Real())
    wanted = by_hand(synthetic(), 3, 2, 0.1, 4)[-1]
    torch.testing.assert_close(weight.double(), torch.from_numpy(wanted), rtol=1e-4, atol=1e-5)
    assert outcome.updates == 6


@pytest.mark.parametrize("mirrors", [True, False])
def test_real_clips_are_mirrored_in_training_where_the_data_allow_it(monkeypatch, mirrors):
    monkeypatch.setattr(protocol_wang2024, "EPOCHS", 8)
    monkeypatch.setattr(protocol_wang2024, "CUT", 5)
    monkeypatch.setattr(Wang2024, "recipe", type(Wang2024.recipe)(epochs=8, batch=4, lr=0.1))
    made = synthetic(mirrors=mirrors)
    _, weight, _ = evaluated(made, Real())
    torch.testing.assert_close(weight.double(), torch.from_numpy(by_hand(made, 8, 5, 0.1, 4)[-1]), rtol=1e-4, atol=1e-5)
    other = by_hand(synthetic(mirrors=not mirrors), 8, 5, 0.1, 4)[-1]
    assert np.abs(weight.numpy() - other).max() > 0.01


def test_a_mirrored_set_draws_for_each_clip_and_anew_each_time():
    made, rng = synthetic(), generator("m")
    rendered = torch.stack([MirroredSet(made).render(torch.arange(7), rng) for _ in range(400)])
    flipped = (rendered != made.clips).flatten(2).any(dim=2)
    torch.testing.assert_close(rendered[flipped], made.clips.expand(400, *made.clips.shape)[flipped].flip(-1))
    assert flipped.float().mean(dim=0).tolist() == pytest.approx([0.5] * 7, abs=0.1)


def test_a_batch_of_experts_is_mirrored_and_standardised():
    clips = torch.randn(6, *SHAPE, generator=generator("s")) + 4
    for mirrors in (True, False):
        flips = ((torch.rand(6, generator=generator("b")) < 0.5) & mirrors).tolist()
        shown = np.stack([clip.numpy()[..., :: -1 if flip else 1] for clip, flip in zip(clips, flips, strict=True)])
        wanted = (shown - shown.mean()) / shown.std(ddof=1)
        found = Wang2024().training_batch(clips, mirrors, generator("b"))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_learned_targets_are_trained_by_adamw_on_the_mean_squared_error(monkeypatch):
    monkeypatch.setattr(protocol_wang2024, "SQUARED_EPOCHS", 6)
    monkeypatch.setattr(protocol_wang2024, "SQUARED_WARMUP", 3)
    targets = torch.randn(7, CLASSES, generator=generator("targets"))
    made, real = synthetic(labels=targets, label_loss="squared"), Real()
    outcome, weight, _ = evaluated(made, real)
    w = Linear().weight.detach().double()
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    lr = 0.01 * 1e-4  # the rise starts at a hundredth
    for epoch in range(6):
        x = made.clips.double().flatten(1)
        gradient = 2 * (x @ w.T - targets).T @ x / (7 * CLASSES)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        w = w * (1 - lr * 5e-4)
        root = (second / (1 - 0.999 ** (epoch + 1))).sqrt() + 1e-8
        w = w - lr * (first / (1 - 0.9 ** (epoch + 1))) / root
        if epoch < 3:  # from a hundredth to the whole in three epochs
            lr *= (0.01 + 0.99 * (epoch + 1) / 3) / (0.01 + 0.99 * epoch / 3)
        cosine = (1 + math.cos(math.pi * (epoch + 1) / 6)) / (1 + math.cos(math.pi * epoch / 6))
        lr = cosine * (lr - 1e-6) + 1e-6
    torch.testing.assert_close(weight.double(), w, rtol=1e-5, atol=1e-7)
    confusion, _ = counted(real, weight.numpy(), generator("evaluation", "windows", 3, 6), standardise=False)
    assert outcome.confusion == confusion
    assert outcome.updates == 6
