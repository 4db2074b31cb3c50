"""DM's loss, gradient and update against a float64 reference of the published formula."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from bench.methods.dm import DM, DMConfig, dm_loss

from bench.core.rng import generator
from bench.distill.real_start import real_initialisation
from tests.oracle.fake_task import FakeTask


def reference_loss(real: np.ndarray, synthetic: np.ndarray, labels: list[int]) -> float:
    total = 0.0
    for c in range(len(real)):
        own = np.stack([f for f, label in zip(synthetic, labels, strict=True) if label == c])
        total += float(np.sum((real[c].mean(axis=0) - own.mean(axis=0)) ** 2))
    return total


def test_loss_is_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(3, 7, 5)), rng.normal(size=(6, 5))
    labels = [2, 0, 1, 0, 2, 2]  # uneven and out of order: means, not sums, and each to its own class
    loss = dm_loss(torch.from_numpy(real.mean(axis=1)), torch.from_numpy(synthetic), torch.tensor(labels))
    assert loss.item() == pytest.approx(reference_loss(real, synthetic, labels), rel=1e-12)


def test_gradient_through_the_network_matches_finite_differences() -> None:
    task = FakeTask(classes=2, per_class=4, ipc=1, dtype=torch.float64)
    network = task.network(generator("network"))
    real = torch.randn(
        2, network.features(task.clips(torch.tensor([0]))).shape[1], generator=generator("real")
    ).double()
    clips = task.clips(torch.tensor([0, 4])).requires_grad_(True)
    labels = torch.tensor([0, 1])

    def loss() -> torch.Tensor:
        return dm_loss(real, network.features(clips), labels)

    (gradient,) = torch.autograd.grad(loss(), [clips])
    direction = torch.randn(clips.shape, generator=generator("direction")).double()
    with torch.no_grad():
        step = 1e-6
        clips += step * direction
        above = loss()
        clips -= 2 * step * direction
        below = loss()
    assert ((above - below) / (2 * step)).item() == pytest.approx((gradient * direction).sum().item(), rel=1e-5)


def test_a_whole_run_is_sgd_with_momentum_on_that_loss() -> None:
    """Three steps against torch.optim.SGD on the loss written out class by class."""
    config = DMConfig(steps=3, lr=0.7, momentum=0.5, batch_real=3)
    task = FakeTask(classes=2, per_class=5, ipc=2)
    learned = DM(config).distill(task)

    clips = real_initialisation(task).clips.clone().requires_grad_(True)
    labels = real_initialisation(task).labels
    optimiser = torch.optim.SGD([clips], lr=0.7, momentum=0.5)
    for step in range(3):
        network = task.network(task.rng("network", step))
        rng = task.rng("real", step)
        loss = torch.zeros(())
        for c in range(2):
            with torch.no_grad():
                target = network.features(task.real(c, 3, rng)).mean(dim=0)
            loss = loss + ((target - network.features(clips)[labels == c].mean(dim=0)) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(learned.tensors()["clips"], clips.detach(), rtol=1e-5, atol=1e-6)
    assert not torch.equal(learned.tensors()["clips"], real_initialisation(task).clips)


def test_learned_clips_match_in_networks_that_they_were_not_learned_in() -> None:
    task = FakeTask(classes=2, per_class=8, ipc=1)
    learned = DM(DMConfig(steps=100, lr=0.1, batch_real=8)).distill(task)
    everything = torch.arange(16)

    def loss(clips: torch.Tensor, number: int) -> float:
        network = task.network(generator("held out", number))
        with torch.no_grad():
            real = network.features(task.clips(everything)).view(2, 8, -1).mean(dim=1)
            return dm_loss(real, network.features(clips), torch.tensor([0, 1])).item()

    before = real_initialisation(task).clips
    ratios = [loss(learned.tensors()["clips"], k) / loss(before, k) for k in range(10)]
    assert max(ratios) < 0.8, ratios


def test_published_values_are_found_where_they_belong() -> None:
    from bench.running.plan.presets import resolve_config

    values = dataclasses.asdict(resolve_config(DM, "paper", "miniucf", 1, "dense", {}))
    assert values == {"steps": 5000, "lr": 30.0, "momentum": 0.5, "batch_real": 64}
    assert resolve_config(DM, "quick", "folder", 1, "dense", {"lr": "2.5"}).lr == 2.5
