"""FRePo: its regression against a direct solve in float64, its loss and pool written out, and what it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench.methods.frepo import FRePo, FRePoConfig, Pool, centred, label_margin, regress

from bench.core.rng import generator
from bench.distill.real_start import real_initialisation
from tests.oracle.fake_task import FakeTask


def test_regression_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    synthetic, targets, real = rng.normal(size=(6, 40)), rng.normal(size=(6, 3)), rng.normal(size=(5, 40))
    kernel = synthetic @ synthetic.T
    ridge = 1e-3 * np.trace(kernel) / 6
    expected = real @ synthetic.T @ np.linalg.inv(kernel + ridge * np.eye(6)) @ targets
    found = regress(torch.from_numpy(synthetic), torch.from_numpy(targets), torch.from_numpy(real), 1e-3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_it_is_ridge_regression_of_weights_on_features() -> None:
    """The kernel form equals the primal one: weights (Phi' Phi + ridge I)^-1 Phi' Y."""
    rng = np.random.default_rng(1)
    synthetic, targets, real = rng.normal(size=(9, 4)), rng.normal(size=(9, 2)), rng.normal(size=(5, 4))
    ridge = 0.01 * np.trace(synthetic @ synthetic.T) / 9
    weights = np.linalg.solve(synthetic.T @ synthetic + ridge * np.eye(4), synthetic.T @ targets)
    found = regress(torch.from_numpy(synthetic), torch.from_numpy(targets), torch.from_numpy(real), 0.01)
    np.testing.assert_allclose(found.numpy(), real @ weights, rtol=1e-9)


def test_targets_are_regressed_exactly_at_the_synthetic_clips_without_ridge() -> None:
    features = torch.randn(4, 30, generator=generator("features"))
    targets = torch.randn(4, 3, generator=generator("targets"))
    torch.testing.assert_close(regress(features, targets, features, 1e-9), targets, rtol=1e-4, atol=1e-4)


def test_targets_are_one_hot_less_their_mean() -> None:
    torch.testing.assert_close(centred(torch.tensor([1]), 4), torch.tensor([[-0.25, 0.75, -0.25, -0.25]]))


def test_the_margin_is_worth_at_most_one_over_the_classes() -> None:
    targets = torch.tensor([[0.0, 1.0, 0.0, 0.2], [0.3, 0.2, 0.0, 0.0]])  # margins 0.8 and 0.1
    assert label_margin(targets).item() == pytest.approx(-(0.25 + 0.1) / 2)


def test_a_step_is_adam_on_the_loss_written_out() -> None:
    config = FRePoConfig(steps=1, batch_real=8, pool=1, pool_updates=10, lr=0.01, lr_labels=0.02, ridge=1e-4)
    task = FakeTask(classes=2, per_class=4, ipc=2)
    learned = FRePo(config).distill(task)
    clips = real_initialisation(task).clips.clone().requires_grad_(True)
    labels = (centred(torch.tensor([0, 0, 1, 1]), 2) / math.sqrt(0.2)).requires_grad_(True)
    network = task.network(task.rng("pool network", 0)).eval()
    with torch.no_grad():
        real = network.features(task.data).double()  # the batch holds everything
    fake = network.features(clips).double()
    kernel = fake @ fake.T
    solved = torch.linalg.solve(kernel + 1e-4 * kernel.trace() / 4 * torch.eye(4).double(), labels.double())
    wanted = torch.tensor([[0.5, -0.5]] * 4 + [[-0.5, 0.5]] * 4)
    margin = (labels.amax(1) - labels.amin(1)).clamp(max=0.5).mean()
    loss = (real @ fake.T @ solved - wanted).pow(2).sum(1).mean() - margin
    optimiser = torch.optim.Adam([{"params": [clips], "lr": 0.01}, {"params": [labels], "lr": 0.02}])
    loss.backward()
    optimiser.step()
    assert task.losses[0] == pytest.approx(loss.item(), rel=1e-4)
    # Adam's first step is the sign of the gradient: where that is nearly zero float32 may disagree.
    differs = (learned.tensors()["clips"] - clips.detach()).abs() > 1e-4
    assert differs.float().mean() < 0.01
    torch.testing.assert_close(learned.labels, labels.detach(), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(learned.labels, centred(torch.tensor([0, 0, 1, 1]), 2) / math.sqrt(0.2))


def test_the_pool_trains_by_adam_and_replaces_the_old() -> None:
    config = FRePoConfig(pool=2, pool_updates=4, pool_lr=0.01)
    task = FakeTask(classes=2, per_class=4, ipc=1)
    pool = Pool(task, config)
    clips, targets = task.data[[0, 4]], centred(torch.tensor([0, 1]), 2)
    network = task.network(task.rng("pool network", 0)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(3):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(clips), targets).backward()
        optimiser.step()
        pool.train(0, clips, targets, step)
    for mine, reference in zip(pool.network(0).parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(mine.detach(), reference.detach(), rtol=1e-4, atol=1e-5)
    pool.train(0, clips, targets, 3)  # the fourth update: a new one takes its place
    fresh = task.network(task.rng("pool network", 2))
    assert all(torch.equal(a, b) for a, b in zip(pool.network(0).parameters(), fresh.parameters(), strict=True))
    # The second started at half the age, so it is replaced after two.
    pool.train(1, clips, targets, 4)
    pool.train(1, clips, targets, 5)
    fresh = task.network(task.rng("pool network", 3))
    assert all(torch.equal(a, b) for a, b in zip(pool.network(1).parameters(), fresh.parameters(), strict=True))


def test_learning_lowers_the_regression_error_in_networks_it_never_saw() -> None:
    task = FakeTask(classes=3, per_class=8, ipc=1)
    truth = centred(torch.arange(3).repeat_interleave(8), 3)

    def error(clips: torch.Tensor, labels: torch.Tensor) -> float:
        total = 0.0
        for number in range(5):
            network = task.network(generator("held out", number)).eval()
            with torch.no_grad():
                found = regress(network.features(clips), labels, network.features(task.data), 1e-6)
            total += float((found - truth).square().sum(dim=1).mean())
        return total / 5

    before = real_initialisation(task)
    learned = FRePo(FRePoConfig(steps=80, batch_real=24, pool=3, pool_updates=20, lr=0.02, lr_labels=0.01)).distill(
        task
    )
    assert error(learned.tensors()["clips"], learned.labels) < 0.8 * error(before.clips, centred(before.labels, 3))
