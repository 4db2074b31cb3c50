"""K-center coreset (Sener & Savarese, "Active learning for CNNs: a core-set approach", ICLR 2018), its greedy form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from baselines._features import Layer, Network, class_features, feature_passes
from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


@dataclass(frozen=True)
class KCenterConfig:
    """Options of k-center.

    Attributes:
        network: whose features: one ``trained`` on the training split (its cost is charged), or an ``untrained`` one.
        layer: which features: the convolutional ``maps`` or the penultimate ``embedding``; the default is
            as in the paper; in the wide maps the farthest clips are outliers.
    """

    network: Network = "trained"
    layer: Layer = "embedding"


@final
class KCenter(Method[KCenterConfig]):
    """Real clips that leave no clip of their class far from a chosen one in feature space."""

    name = "kcenter"
    Config = KCenterConfig
    paper = "Sener & Savarese, ICLR 2018"
    shares = ("trained-network",)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        features = class_features(task, self.config.network, self.config.layer)
        return coreset(task, [index[k_center(found, task.ipc)] for index, found in features])

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return feature_passes(work, self.config.network)

    def declines(self, work: Workload) -> str | None:
        """Only what would have to be learned."""
        return declines_adaptive(work, self.name)


def k_center(features: torch.Tensor, count: int) -> torch.Tensor:
    """Starts from the sample nearest the mean, then adds the one farthest from its nearest centre.

    Args:
        features: ``(n, F)``.
        count: how many centres; all samples if ``n`` is smaller.

    Returns:
        ``(min(count, n),)`` int64, in the order picked.
    """
    start = int(torch.linalg.vector_norm(features - features.mean(dim=0), dim=1).argmin())
    picked = [start]
    nearest = torch.linalg.vector_norm(features - features[start], dim=1)
    while len(picked) < min(count, len(features)):
        nearest[picked] = -1.0  # a duplicate of a centre may still be picked, a centre itself may not
        picked.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, torch.linalg.vector_norm(features - features[picked[-1]], dim=1))
    return torch.tensor(picked, dtype=torch.int64)
