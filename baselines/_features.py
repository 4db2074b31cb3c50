"""Features in which coresets compare clips, and the cost of computing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch

from bench.api import Task, Workload

Network = Literal["trained", "untrained"]
"""``trained`` on the training split (its cost is charged as upstream), or newly initialised."""

Layer = Literal["maps", "embedding"]
"""``maps``: the flattened output of the convolutional stack. ``embedding``: the penultimate activations."""

_BATCH = 64


def class_features(task: Task, which: Network, layer: Layer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each class its clips' positions ``(n,)`` and features ``(n, F)``, float64 on the CPU."""
    network = task.trained_network() if which == "trained" else task.network(task.rng("features"))
    network.eval()
    read = network.features if layer == "maps" else network.embedding
    for label in range(len(task.classes)):
        index = task.indices(label)
        with torch.no_grad():
            parts = [read(task.clips(index[start : start + _BATCH])) for start in range(0, len(index), _BATCH)]
        task.progress(label + 1, len(task.classes))
        yield index, torch.cat(parts).double().cpu()


def feature_passes(work: Workload, which: Network) -> float:
    """Clip passes of the features, with about 20 epochs of training where the network is trained."""
    return work.train * (61.0 if which == "trained" else 1.0)
