"""Coresets that compare clips by their features in a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, final

import torch
from typing_extensions import override

from bench.api import Footprint, Task, Workload
from bench.distill.coresets import Coreset
from bench.distill.features import CHUNK, real_features

Network = Literal["trained", "untrained"]
"""``trained`` on the training split (its cost is charged as upstream), or newly initialised."""

Layer = Literal["maps", "embedding"]
"""``maps``: the flattened output of the convolutional stack. ``embedding``: the penultimate activations."""


@dataclass(frozen=True)
class FeatureConfig:
    """Which features are compared.

    Attributes:
        network: whose: a network ``trained`` on the training split (its cost is charged), or an ``untrained`` one.
        layer: which: the convolutional ``maps`` or the penultimate ``embedding``.
    """

    network: Network = "trained"
    layer: Layer = "maps"


C = TypeVar("C", bound=FeatureConfig)


class FeatureCoreset(Coreset[C]):
    """A coreset that picks the clips of each class by their features alone."""

    shares = ("trained-network",)

    @abstractmethod
    def pick(self, features: torch.Tensor, count: int) -> torch.Tensor:
        """Which clips of a class to take.

        Args:
            features: ``(n, F)``, float64 on the CPU.
            count: how many; all of them if ``n`` is smaller.

        Returns:
            ``(min(count, n),)`` int64, in the order picked.
        """

    @final
    @override
    def choose(self, task: Task) -> Iterator[torch.Tensor]:
        for index, features in class_features(task, self.config.network, self.config.layer):
            yield index[self.pick(features, task.ipc)]

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        return feature_passes(work, self.config.network)

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        return feature_footprint(work)


def class_features(task: Task, which: Network, layer: Layer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each class its clips' positions ``(n,)`` and features ``(n, F)``, float64 on the CPU."""
    network = task.trained_network() if which == "trained" else task.network(task.rng("features"))
    network.eval()
    read = network.features if layer == "maps" else network.embedding
    for label in range(len(task.classes)):
        index = task.indices(label)
        features = real_features(task, read, index)
        task.progress(label + 1, len(task.classes))
        yield index, features.double().cpu()


def feature_footprint(work: Workload) -> Footprint:
    """A chunk of clips in a forward pass; what training takes is that of the artefact."""
    return Footprint(forward=min(CHUNK, work.train))


def feature_passes(work: Workload, which: Network) -> float:
    """Clip passes of the features, with about 20 epochs of training where the network is trained."""
    return work.train * (61.0 if which == "trained" else 1.0)
