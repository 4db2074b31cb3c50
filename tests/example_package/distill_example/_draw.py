"""How clips are drawn. Part of the method's identity, as it is used by its module."""

from __future__ import annotations

import torch

from bench.api import Task


def drawn(task: Task, label: int, count: int, rng: torch.Generator) -> torch.Tensor:
    """``(count, C, T, H, W)`` random training clips of one class."""
    return task.real(label, count, rng)
