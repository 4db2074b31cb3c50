"""DC: its distance on gradients made by hand and in float64, its gradient, and a run written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench.methods.dc import (
    DC,
    DCConfig,
    Draws,
    class_gradient,
    gradient_distance,
    matching_losses,
    real_gradients,
    unchanged,
)

from bench.core.rng import generator
from bench.distill.learner import Learner
from bench.distill.real_start import real_initialisation
from bench.sets.dense import DenseSet
from tests.oracle.fake_task import FakeTask


def test_distance_on_gradients_made_by_hand() -> None:
    real = [torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])]
    fake = [torch.tensor([[5.0, 0.0], [0.0, -1.0], [0.0, 1.0]])]
    assert gradient_distance(real, fake).item() == pytest.approx(3.0, abs=1e-5)  # parallel 0, opposite 2, orthogonal 1


def test_gradients_are_matched_in_weights_and_not_in_biases() -> None:
    task = FakeTask(classes=2, per_class=3, ipc=1)
    network = task.network(generator("network"))
    found = class_gradient(network, task.clips(torch.arange(3)), 0, create_graph=False)
    weights = [weight for name, weight in network.named_parameters() if "weight" in name and weight.dim() > 1]
    assert [gradient.shape for gradient in found] == [weight.shape for weight in weights]
    assert len(found) == 4


def test_a_unit_is_an_output_channel_of_a_convolution() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(4, 3, 3, 7, 7)), rng.normal(size=(4, 3, 3, 7, 7))
    expected = sum(
        1 - np.dot(a.ravel(), b.ravel()) / (np.linalg.norm(a) * np.linalg.norm(b))
        for a, b in zip(real, fake, strict=True)
    )
    found = gradient_distance([torch.from_numpy(real)], [torch.from_numpy(fake)])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_units_without_gradient_do_not_divide_by_zero() -> None:
    assert gradient_distance([torch.zeros(2, 3)], [torch.zeros(2, 3)]).item() == 2.0


def test_the_derivative_in_the_clips_matches_finite_differences() -> None:
    task = FakeTask(classes=2, per_class=3, ipc=1, dtype=torch.float64)
    network = task.network(generator("network"))
    target = [g.detach() for g in class_gradient(network, task.clips(torch.arange(3)), 0, create_graph=False)]
    clips = task.clips(torch.tensor([4])).requires_grad_(True)

    def loss() -> torch.Tensor:
        return gradient_distance(target, class_gradient(network, clips, 0, create_graph=True))

    (gradient,) = torch.autograd.grad(loss(), [clips])
    direction = torch.randn(clips.shape, generator=generator("direction")).double()
    step = 1e-6
    above, below = (
        gradient_distance(
            target, class_gradient(network, (clips + sign * step * direction), 0, create_graph=True)
        ).item()
        for sign in (1, -1)
    )
    assert (above - below) / (2 * step) == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def test_matching_a_set_with_itself_costs_nothing() -> None:
    """With as many synthetic clips as real ones, the same ones, both gradients are the same."""
    task = FakeTask(classes=2, per_class=3, ipc=3)
    learner = Learner(real_initialisation(task), {"clips": 1.0}, 0.0)
    network = task.network(generator("n"))
    real = real_gradients(task, network, 3, unchanged, Draws(task, 0))
    assert sum(matching_losses(task, network, learner, real, unchanged, Draws(task, 0))).item() < 0.1  # of about 70


def test_a_run_with_outer_and_inner_loops_is_algorithm_1_written_out() -> None:
    config = DCConfig(steps=4, outer_loops=2, inner_loops=3, lr=0.5, momentum=0.5, batch_real=3, network_lr=0.01)
    task = FakeTask(classes=2, per_class=4, ipc=1, dtype=torch.float64)
    learned = DC(config).distill(task)

    clips = real_initialisation(task).clips.clone().requires_grad_(True)
    labels = torch.tensor([0, 1])
    optimiser = torch.optim.SGD([clips], lr=0.5, momentum=0.5)
    for k in range(2):
        network = task.network(task.rng("network", k))
        for t in range(2):
            rng, loss = task.rng("real" if t == 0 else "real, matching 1", k), torch.zeros(())
            for c in range(2):
                cross_entropy = torch.nn.functional.cross_entropy
                real = cross_entropy(network(task.real(c, 3, rng)), torch.full((3,), c))
                fake = cross_entropy(network(clips[c : c + 1]), torch.tensor([c]))
                for a, b in zip(
                    torch.autograd.grad(real, list(network.parameters())),
                    torch.autograd.grad(fake, list(network.parameters()), create_graph=True),
                    strict=True,
                ):
                    if a.dim() > 1:
                        a, b = a.flatten(1), b.flatten(1)
                        norms = a.norm(dim=1) * b.norm(dim=1) + 1e-6  # as in the authors' code
                        loss = loss + (1 - (a * b).sum(dim=1) / norms).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if t == 0:
                inner = torch.optim.SGD(network.parameters(), lr=0.01)  # no momentum, as in the authors' code
                for _ in range(3):
                    inner.zero_grad()
                    torch.nn.functional.cross_entropy(network(clips.detach()), labels).backward()
                    inner.step()
    torch.testing.assert_close(learned.tensors()["clips"], clips.detach(), rtol=1e-8, atol=1e-8)
    assert not torch.equal(learned.tensors()["clips"], real_initialisation(task).clips)


def test_small_steps_in_one_network_lower_the_distance() -> None:
    task = FakeTask(classes=2, per_class=8, ipc=1)
    config = DCConfig(steps=60, outer_loops=60, inner_loops=0, lr=0.001, momentum=0.0, batch_real=8)

    def distance(clips: torch.Tensor) -> float:
        learner = Learner(DenseSet(clips.clone(), torch.tensor([0, 1])), {"clips": 0.0}, 0.0)
        network = task.network(task.rng("network", 0))
        real = real_gradients(task, network, 8, unchanged, Draws(task, 0))
        return sum(matching_losses(task, network, learner, real, unchanged, Draws(task, 0))).item()

    before = distance(real_initialisation(task).clips)
    learned = real_initialisation(task)
    DC(config).match(task, learned, {"clips": config.lr})
    after = distance(learned.clips)
    assert after < 0.993 * before
