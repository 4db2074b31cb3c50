"""Steps of methods written plainly, as the field's public code is: what the suite's steps are measured against."""

from __future__ import annotations

import torch
from torch import nn

from bench.api import Task


def stack(name: str, channels: int) -> nn.Module:
    """The convolutional stack of a network in the plain order of layers, in PyTorch's own layout and initialisation."""
    if name == "convnet3d":
        widths, pools = (64, 128, 128), ((1, 2, 2), (2, 2, 2), (2, 2, 2))
        layers: list[nn.Module] = []
        for width, pool in zip(widths, pools, strict=True):
            layers += [
                nn.Conv3d(channels, width, (3, 7, 7), (1, 2, 2), (1, 3, 3)),
                nn.ReLU(inplace=True),
                nn.MaxPool3d(pool),
            ]
            channels = width
        return nn.Sequential(*layers)
    half = (1, 2, 2)
    return nn.Sequential(
        nn.Conv3d(channels, 16, 3, half, 1), nn.GroupNorm(16, 16), nn.ReLU(inplace=True), nn.MaxPool3d(half),
        nn.Conv3d(16, 32, 3, 1, 1), nn.GroupNorm(32, 32), nn.ReLU(inplace=True), nn.MaxPool3d(half),
        nn.Conv3d(32, 32, 3, 1, 1), nn.GroupNorm(32, 32), nn.ReLU(inplace=True),
    )  # fmt: skip


def dm_step(
    task: Task, name: str, learned: torch.Tensor, optimiser: torch.optim.Optimizer, batch: int, step: int
) -> None:
    """One update of ``learned`` ``(classes, ipc, C, T, H, W)``: a new network, then class by class."""
    network = stack(name, task.clip.channels).to(task.device).requires_grad_(False)
    loss = torch.zeros((), device=task.device)
    for label in range(len(task.classes)):
        real = task.real(label, batch, task.rng("real", step)).contiguous()
        with torch.no_grad():
            wanted = network(real).flatten(1).mean(dim=0)
        loss = loss + (wanted - network(learned[label]).flatten(1).mean(dim=0)).square().sum()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def classifier(task: Task, name: str) -> nn.Module:
    """The stack, a mean over time and space, a linear layer; on the task's device."""
    layers = stack(name, task.clip.channels)
    width = [layer for layer in layers if isinstance(layer, nn.Conv3d)][-1].out_channels
    head = (nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(width, len(task.classes)))
    return nn.Sequential(layers, *head).to(task.device)


def dc_step(
    task: Task, name: str, learned: torch.Tensor, optimiser: torch.optim.Optimizer, batch: int, step: int
) -> None:
    """One matching of gradients: a new network, then class by class."""
    network = classifier(task, name)
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    loss = torch.zeros((), device=task.device)
    for label in range(len(task.classes)):
        real = task.real(label, batch, task.rng("real", step)).contiguous()
        wanted = torch.autograd.grad(_cross_entropy(network(real), label), weights)
        found = torch.autograd.grad(_cross_entropy(network(learned[label]), label), weights, create_graph=True)
        for a, b in zip(wanted, found, strict=True):
            a, b = a.flatten(1), b.flatten(1)
            loss = loss + (1 - (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)).sum()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _cross_entropy(logits: torch.Tensor, label: int) -> torch.Tensor:
    return nn.functional.cross_entropy(logits, torch.full((len(logits),), label, device=logits.device))


def mtt_step(
    task: Task, name: str, learned: torch.Tensor, optimiser: torch.optim.Optimizer, batch: int, step: int
) -> None:
    """One unrolled matching of trajectories, ``batch`` student steps on the whole set; an expert is a network and a little noise."""
    network = classifier(task, name)
    start = {key: value.detach() for key, value in network.named_parameters()}
    target = {key: value + 0.01 * torch.randn_like(value) for key, value in start.items()}
    labels = torch.arange(len(task.classes), device=task.device).repeat_interleave(learned.shape[1])
    theta = {key: value.clone().requires_grad_(True) for key, value in start.items()}
    for _ in range(batch):
        logits = torch.func.functional_call(network, theta, (learned.flatten(0, 1),))
        gradients = torch.autograd.grad(
            nn.functional.cross_entropy(logits, labels), list(theta.values()), create_graph=True
        )
        theta = {key: value - 0.01 * gradient for (key, value), gradient in zip(theta.items(), gradients, strict=True)}
    apart = sum((theta[key] - target[key]).square().sum() for key in theta)
    whole = sum((start[key] - target[key]).square().sum() for key in theta)
    optimiser.zero_grad()
    (apart / whole).backward()  # type: ignore[union-attr]
    optimiser.step()


def frepo_step(
    task: Task, name: str, learned: torch.Tensor, optimiser: torch.optim.Optimizer, batch: int, step: int
) -> None:
    """One regression in a network's features, and one update of the network on the set."""
    network = classifier(task, name)
    rng, classes = task.rng("real", step), len(task.classes)
    real = torch.cat([task.real(label, max(1, batch // classes), rng) for label in range(classes)]).contiguous()
    truth = torch.arange(classes, device=task.device).repeat_interleave(max(1, batch // classes))
    labels = torch.arange(classes, device=task.device).repeat_interleave(learned.shape[1])
    targets = nn.functional.one_hot(labels, classes).float() - 1 / classes
    clips = learned.flatten(0, 1)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        seen = network[0](real).flatten(1)  # type: ignore[index]
    own = network[0](clips).flatten(1)  # type: ignore[index]
    kernel = (own @ own.T).double()
    ridge = 1e-6 * kernel.trace() / len(kernel) * torch.eye(len(kernel), dtype=kernel.dtype, device=task.device)
    predicted = (seen @ own.T).double() @ torch.linalg.solve(kernel + ridge, targets.double())
    wanted = nn.functional.one_hot(truth, classes).double() - 1 / classes
    optimiser.zero_grad()
    (predicted - wanted).square().sum(dim=1).mean().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    trained = torch.optim.Adam(network.parameters(), lr=1e-4)
    (network(clips.detach()) - targets).square().mean().backward()
    trained.step()


PLAIN = {"dm": dm_step, "dc": dc_step, "mtt": mtt_step, "frepo": frepo_step}
"""By the name of the method."""
