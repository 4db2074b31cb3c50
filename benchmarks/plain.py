"""A step of DM written plainly, as the field's public code is: what the suite's step is measured against."""

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
    network = stack(name, task.clip.channels).requires_grad_(False)
    loss = torch.zeros(())
    for label in range(len(task.classes)):
        real = task.real(label, batch, task.rng("real", step)).contiguous()
        with torch.no_grad():
            wanted = network(real).flatten(1).mean(dim=0)
        loss = loss + (wanted - network(learned[label]).flatten(1).mean(dim=0)).square().sum()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
