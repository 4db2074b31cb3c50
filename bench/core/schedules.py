"""How learning rates change over the steps. A rate follows from the number of its step alone, so that a resumed cell has the same."""

from __future__ import annotations

import math

import torch


def cosine(first: float, last: float, done: float) -> float:
    """Half a cosine from ``first`` to ``last``, at a share ``done`` of the way, 0 to 1."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def rising_cosine(rate: float, steps: int, warm_up: int, least: float = 0.01) -> list[float]:
    """The rates of ``steps`` steps: PyTorch's linear rise from ``least`` of ``rate``, chained with its cosine down to ``least``.

    Each scheduler changes the rate that the other left, so that both act at once. The rise may be longer than the steps;
    without any, the cosine starts from ``rate``.
    """
    optimiser = torch.optim.SGD([torch.zeros(1)], rate)
    rise = [torch.optim.lr_scheduler.LinearLR(optimiser, least, total_iters=warm_up)] if warm_up else []
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=least * rate)
    schedule = torch.optim.lr_scheduler.ChainedScheduler([*rise, fall])
    rates = []
    for _ in range(steps):
        rates.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        schedule.step()
    return rates
