"""Herding coreset (Welling, "Herding dynamical weights to learn", ICML 2009; as used by iCaRL, Rebuffi et al., CVPR 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from baselines._features import Layer, Network, class_features, feature_passes
from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes


@dataclass(frozen=True)
class HerdingConfig:
    """Options of herding.

    Attributes:
        network: whose features: one ``trained`` on the training split (its cost is charged), or an ``untrained`` one.
        layer: which features: the convolutional ``maps`` or the penultimate ``embedding``; the default is
            what matching methods compare too.
    """

    network: Network = "trained"
    layer: Layer = "maps"


@final
class Herding(Method[HerdingConfig]):
    """Real clips whose running mean follows the class mean in feature space."""

    name = "herding"
    Config = HerdingConfig
    paper = "Welling, ICML 2009; Rebuffi et al., CVPR 2017"
    shares = ("trained-network",)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        features = class_features(task, self.config.network, self.config.layer)
        return coreset(task, [index[herd(found, task.ipc)] for index, found in features])

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return feature_passes(work, self.config.network)

    def declines(self, work: Workload) -> str | None:
        """Only what would have to be learned."""
        return declines_adaptive(work, self.name)


def herd(features: torch.Tensor, count: int) -> torch.Tensor:
    """Greedily picks the sample that brings the mean of the picked ones closest to the mean of all.

    Args:
        features: ``(n, F)``.
        count: how many to pick, without repetition; all of them if ``n`` is smaller.

    Returns:
        ``(min(count, n),)`` int64, in the order picked.
    """
    mean = features.mean(dim=0)
    total = torch.zeros_like(mean)
    free = torch.ones(len(features), dtype=torch.bool)
    picked: list[int] = []
    for k in range(1, min(count, len(features)) + 1):
        distance = torch.linalg.vector_norm(mean - (total + features) / k, dim=1)
        best = int(distance.masked_fill(~free, torch.inf).argmin())
        picked.append(best)
        free[best] = False
        total += features[best]
    return torch.tensor(picked, dtype=torch.int64)
