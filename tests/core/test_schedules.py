"""Schedules of learning rates against PyTorch's schedulers, and against their recursion written out."""

from __future__ import annotations

import math

import pytest
import torch

from bench.core.schedules import cosine, rising_cosine


def test_a_cosine_is_pytorchs() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1)], 0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 20, eta_min=0.02)
    for step in range(21):
        assert cosine(0.5, 0.02, step / 20) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize(("steps", "warm_up"), [(100, 500), (50, 20), (1, 5), (30, 0)])
def test_a_rising_cosine_is_both_schedulers_on_the_same_rate(steps: int, warm_up: int) -> None:
    def rise(step: int) -> float:
        return 0.01 + 0.99 * min(step / warm_up, 1) if warm_up else 1.0

    def fall(step: int) -> float:
        return 1 + math.cos(math.pi * step / steps)

    rate = 3.0 * rise(0)
    expected = [rate]
    for step in range(1, steps):
        rate = 0.03 + (rate * rise(step) / rise(step - 1) - 0.03) * fall(step) / fall(step - 1)
        expected.append(rate)
    assert rising_cosine(3.0, steps, warm_up) == pytest.approx(expected, rel=1e-9)


def test_a_warm_up_of_five_lives_leaves_a_twenty_fourth_of_the_rate() -> None:
    rates = rising_cosine(1.0, 100, 500)
    assert sum(rates) / 100 == pytest.approx(1 / 24.4565, rel=1e-4)
    assert max(rates) == pytest.approx(0.063807, rel=1e-4) == rates[43]
