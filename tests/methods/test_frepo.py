"""FRePo: its regression against a direct solve in float64, its loop written out with PyTorch's schedulers, and what it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench.methods.frepo import FRePo, FRePoConfig, Pool, centred, label_margin, pool_batch, real_batch, regress

from bench.api import ClipShape, Workload
from bench.core import temporal
from bench.core.rng import generator
from bench.distill.real_start import real_initialisation
from tests.distill.test_taxonomy import Interrupted, Keeping
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


class Written:
    """A network of the pool with Adam and the schedulers of the published video code."""

    def __init__(self, task: FakeTask, serial: int, config: FRePoConfig, age: int = 0) -> None:
        self.network, self.age = task.network(task.rng("pool network", serial)), age
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.pool_lr)
        self.schedule = torch.optim.lr_scheduler.ChainedScheduler([
            torch.optim.lr_scheduler.LinearLR(self.optimiser, 0.01, total_iters=config.pool_warm_up),
            torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, config.pool_updates, 0.01 * config.pool_lr),
        ])  # fmt: skip

    def train(self, clips: torch.Tensor, targets: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        torch.nn.functional.mse_loss(self.network.train()(clips), targets.to(clips.dtype)).backward()
        self.optimiser.step()
        self.schedule.step()
        self.age += 1


def test_steps_are_those_of_the_published_loop_written_out() -> None:
    """Twelve steps in float64: rates that fall, batches of real clips in epochs, networks that age and are replaced."""
    config = FRePoConfig(
        steps=12, batch_real=5, lr=0.05, lr_labels=0.02, ridge=1e-3,
        pool=2, pool_updates=4, pool_lr=0.1, pool_warm_up=10, pool_batch=2,
    )  # fmt: skip
    task = FakeTask(classes=3, per_class=4, ipc=1, dtype=torch.float64)
    learned = FRePo(config).distill(task)
    clips = real_initialisation(task).clips.clone().requires_grad_(True)
    labels = (centred(torch.arange(3), 3) / math.sqrt(0.3)).requires_grad_(True)
    truth = centred(torch.arange(3).repeat_interleave(4), 3).double()
    optimiser = torch.optim.Adam([{"params": [clips], "lr": 0.05}, {"params": [labels], "lr": 0.02}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 12, eta_min=0.002)
    pool, made = [Written(task, 0, config), Written(task, 1, config, age=2)], [1, 1]
    for step in range(12):
        if step % 3 == 0:  # twelve clips, five at a time: 5, 5, 2
            order = torch.randperm(12, generator=task.rng("real order", step // 3))
        drawn = order[5 * (step % 3) : 5 * (step % 3) + 5]
        number = int(torch.randint(2, (), generator=task.rng("pool", step)))
        network = pool[number].network.eval()
        real, fake = network.features(task.data[drawn]).detach(), network.features(clips)
        kernel = fake @ fake.T
        solved = torch.linalg.solve(kernel + 1e-3 * kernel.trace() / 3 * torch.eye(3).double(), labels.double())
        top = labels.topk(2, dim=1).values
        margin = (top[:, 0] - top[:, 1]).clamp(max=1 / 3).mean()
        loss = (real @ fake.T @ solved - truth[drawn]).square().sum(dim=1).mean() - margin
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        assert float(task.metrics[step]["loss"]) == pytest.approx(loss.item(), rel=1e-5)
        chosen = torch.randperm(3, generator=task.rng("pool batch", step))[:2]
        pool[number].train(clips.detach()[chosen], labels.detach()[chosen])
        if pool[number].age >= 4:
            pool[number] = Written(task, number + 2 * made[number], config)
            made[number] += 1
    assert min(made) > 1
    torch.testing.assert_close(learned.tensors()["clips"], clips.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(learned.labels, labels.detach(), rtol=1e-4, atol=1e-5)


def test_the_pool_replaces_the_old() -> None:
    config = FRePoConfig(pool=2, pool_updates=4, pool_lr=0.01)
    task = FakeTask(classes=2, per_class=4, ipc=1)
    pool = Pool(task, config)
    clips, targets = task.data[[0, 4]], centred(torch.tensor([0, 1]), 2)

    def is_new(number: int, serial: int) -> bool:
        fresh = task.network(task.rng("pool network", serial))
        return all(
            torch.equal(a, b) for a, b in zip(pool.network(number).parameters(), fresh.parameters(), strict=True)
        )

    # The second begins at half the age of the first, so it is replaced after two updates, and its successor after four.
    for number, updates, serial in [(0, 4, 2), (1, 2, 3), (1, 4, 5)]:
        for step in range(updates):
            assert is_new(number, serial - 2) == (step == 0)
            pool.train(number, clips, targets, step)
        assert is_new(number, serial)


def test_all_real_clips_are_seen_once_before_any_is_seen_again() -> None:
    task = FakeTask(classes=2, per_class=5, ipc=1)
    batches = [real_batch(task, 10, 4, step) for step in range(6)]
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
    first, second = (torch.cat(turn).tolist() for turn in (batches[:3], batches[3:]))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert sorted(real_batch(task, 10, 512, 3).tolist()) == list(range(10))


def test_a_network_is_trained_on_so_many_clips_at_most_and_on_none_twice() -> None:
    task = FakeTask(classes=2, per_class=5, ipc=1)
    assert pool_batch(task, 7, 7, 0).tolist() == list(range(7))
    drawn = [set(pool_batch(task, 7, 3, step).tolist()) for step in range(20)]
    assert {len(each) for each in drawn} == {3}
    assert set.union(*drawn) == set(range(7))


def test_passes_and_memory_follow_both_batches() -> None:
    work = Workload(2, 10, 4, ClipShape(3, 4, 16, 16), temporal.dense(4))
    method = FRePo(FRePoConfig(steps=4, batch_real=4, pool_batch=5, pool=3))
    assert method.clip_passes(work) == (4 + 4 + 2 + 4) + 4 * 3 * (8 + 5)
    footprint = method.footprint(work)
    assert (footprint.forward, footprint.through, footprint.training) == (4, 8, 5)


@pytest.mark.parametrize("stop", [2, 5, 8])
def test_a_broken_run_goes_on_in_its_schedules_to_the_same_bits(stop: int) -> None:
    config = FRePoConfig(steps=9, batch_real=3, lr=0.05, pool=2, pool_updates=3, pool_lr=0.1, pool_batch=1)
    whole, task = FRePo(config).distill(Keeping("dense")), Keeping("dense")
    task.left = stop
    with pytest.raises(Interrupted):
        FRePo(config).distill(task)
    again = FRePo(config).distill(task)
    assert torch.equal(whole.tensors()["clips"], again.tensors()["clips"])
    assert torch.equal(whole.labels, again.labels)


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
