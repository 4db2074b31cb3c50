"""K-center coreset (Sener & Savarese, "Active learning for CNNs: a core-set approach", ICLR 2018), its greedy form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from typing_extensions import override

from ._features import FeatureConfig, FeatureCoreset, Layer


@dataclass(frozen=True)
class KCenterConfig(FeatureConfig):
    """Options of k-center: the embedding by default, as in the paper; in the wide maps the farthest clips are outliers."""

    layer: Layer = "embedding"


@final
class KCenter(FeatureCoreset[KCenterConfig]):
    """Real clips that leave no clip of their class far from a chosen one in feature space."""

    name = "kcenter"
    Config = KCenterConfig
    paper = "Sener & Savarese, ICLR 2018"

    @override
    def pick(self, features: torch.Tensor, count: int) -> torch.Tensor:
        return k_center(features, count)


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
