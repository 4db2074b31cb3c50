"""Herding coreset (Welling, "Herding dynamical weights to learn", ICML 2009; as used by iCaRL, Rebuffi et al., CVPR 2017)."""

from __future__ import annotations

from typing import final

import torch
from typing_extensions import override

from ._features import FeatureConfig, FeatureCoreset


@final
class Herding(FeatureCoreset[FeatureConfig]):
    """Real clips whose running mean follows the class mean in feature space."""

    name = "herding"
    Config = FeatureConfig
    paper = "Welling, ICML 2009; Rebuffi et al., CVPR 2017"

    @override
    def pick(self, features: torch.Tensor, count: int) -> torch.Tensor:
        return herd(features, count)


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
    for size in range(1, min(count, len(features)) + 1):
        distance = torch.linalg.vector_norm(mean - (total + features) / size, dim=1)
        best = int(distance.masked_fill(~free, torch.inf).argmin())
        picked.append(best)
        free[best] = False
        total += features[best]
    return torch.tensor(picked, dtype=torch.int64)
