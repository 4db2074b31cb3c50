"""What a network reads in real clips, without gradient and a chunk of clips at a time, so that any number of them fits."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.api import Task

Read = Callable[["torch.Tensor"], "torch.Tensor"]
"""``features`` or ``embedding`` of a network: clips ``(B, C, T, H, W)`` to ``(B, F)``."""

CHUNK = 64
"""Clips per pass. It changes memory, and results by no more than rounding."""


def real_features(task: Task, read: Read, index: torch.Tensor, views: torch.Tensor | None = None) -> torch.Tensor:
    """Features ``(n, F)`` of real clips.

    Args:
        task: the task.
        read: see `Read`.
        index, views: ``(n,)`` each, which clips and which of their windows, as `Task.clips` takes them.
    """
    with torch.no_grad():
        chunks = [
            read(task.clips(index[i : i + CHUNK], None if views is None else views[i : i + CHUNK]))
            for i in range(0, len(index), CHUNK)
        ]
    return torch.cat(chunks)


def class_means(task: Task, read: Read, count: int, rng: torch.Generator) -> torch.Tensor:
    """The mean feature of ``count`` random real clips of each class (all of a class that has fewer), ``(classes, F)``."""
    index, views = task.draw_classes(count, rng)
    sizes = [min(count, len(task.indices(label))) for label in range(len(task.classes))]
    features = torch.split_with_sizes(real_features(task, read, index, views), sizes)
    return torch.stack([own.mean(dim=0) for own in features])
