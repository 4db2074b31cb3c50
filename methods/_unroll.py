"""The gradient of trajectory matching: how far a student ends from an expert, differentiated through its SGD steps.

Three ways to the gradient in what a set stores (and in the student's learning rate): `unrolled`, the whole graph;
`stepwise`, the same gradient with one step's graph at a time; `tesla`, that of Cui et al. (ICML 2023), which treats the
student's later parameters as constants: an approximation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

InnerLoss = Callable[[int, "torch.Tensor"], "torch.Tensor"]
"""The student's loss at step i with parameters ``(P,)``; it can be called again for the same value."""

Matched = tuple["torch.Tensor", "tuple[torch.Tensor | None, ...]"]
"""The matching loss, detached, and its gradient in each learned tensor (None: not touched)."""


def distance(theta: torch.Tensor, start: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``|theta - target|^2 / |start - target|^2`` (eq. 2)."""
    return (theta - target).square().sum() / (start - target).square().sum()


def unrolled(
    inner: InnerLoss,
    start: torch.Tensor,
    target: torch.Tensor,
    rate: torch.Tensor,
    steps: int,
    learned: tuple[torch.Tensor, ...],
) -> Matched:
    """Through the graph of all student steps at once: memory grows with their number.

    Args:
        inner: the student's loss at step i.
        start, target: ``(P,)`` expert parameters to start from and to reach.
        rate: the student's learning rate ``()``.
        steps: of the student.
        learned: what gradients are wanted of; ``inner`` and ``rate`` may depend on it.
    """
    theta = start.clone().requires_grad_(True)
    for i in range(steps):
        (gradient,) = torch.autograd.grad(inner(i, theta), theta, create_graph=True)
        theta = theta - rate * gradient
    loss = distance(theta, start, target)
    return loss.detach(), torch.autograd.grad(loss, learned, allow_unused=True)


def stepwise(
    inner: InnerLoss,
    start: torch.Tensor,
    target: torch.Tensor,
    rate: torch.Tensor,
    steps: int,
    learned: tuple[torch.Tensor, ...],
    exact: bool = True,
) -> Matched:
    """One student step's graph at a time: of each step only its parameters are kept.

    Backwards over ``theta' = theta - rate * g(theta, learned)`` the adjoint ``a = dL/dtheta'`` becomes
    ``a + d(-rate * g . a)/dtheta``, and ``learned`` gets ``d(-rate * g . a)/dlearned``. Without ``exact`` the adjoint is not
    carried on: that is TESLA's gradient.
    """
    thetas = [start]
    for i in range(steps):
        theta = thetas[-1].detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(inner(i, theta), theta)
        thetas.append(theta.detach() - rate.detach() * gradient)
    end = thetas[-1].requires_grad_(True)
    loss = distance(end, start, target)
    (adjoint,) = torch.autograd.grad(loss, end)

    total: list[torch.Tensor | None] = [None] * len(learned)
    for i in reversed(range(steps)):
        theta = thetas[i].detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(inner(i, theta), theta, create_graph=True)
        along = -rate * (gradient @ adjoint)
        carried, *parts = torch.autograd.grad(along, (theta, *learned), allow_unused=True)
        if exact and carried is not None:
            adjoint = adjoint + carried
        total = [b if a is None else a if b is None else a + b for a, b in zip(total, parts, strict=True)]
    return loss.detach(), tuple(total)


BACKWARD: dict[
    str, Callable[[InnerLoss, torch.Tensor, torch.Tensor, torch.Tensor, int, tuple[torch.Tensor, ...]], Matched]
]
BACKWARD = {"unrolled": unrolled, "stepwise": stepwise, "tesla": functools.partial(stepwise, exact=False)}
