"""Features in which coresets compare clips, and the cost of computing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from bench.api import Task, Workload

_BATCH = 64


@dataclass(frozen=True)
class CoresetConfig:
    """Options of a feature-space coreset.

    Attributes:
        features: of a network ``trained`` on the training split (its cost is charged), or of an ``untrained`` one.
    """

    features: Literal["trained", "untrained"] = "trained"


def class_features(task: Task, kind: Literal["trained", "untrained"]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each class its clips' positions ``(n,)`` and features ``(n, F)``, float64 on the CPU."""
    network = task.trained_network() if kind == "trained" else task.network(task.rng("features"))
    network.eval()
    for label in range(len(task.classes)):
        index = task.indices(label)
        with torch.no_grad():
            parts = [
                network.features(task.clips(index[start : start + _BATCH])) for start in range(0, len(index), _BATCH)
            ]
        task.progress(label + 1, len(task.classes))
        yield index, torch.cat(parts).double().cpu()


def feature_passes(work: Workload, config: CoresetConfig) -> float:
    """Clip passes of the features, with about 20 epochs of training where the network is trained."""
    return work.train * (61.0 if config.features == "trained" else 1.0)
