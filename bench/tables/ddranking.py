"""Scores relative to the full data and to random real clips (DD-Ranking, Li et al. 2025), accuracies as fractions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

WEIGHT = 0.5


@final
@dataclass(frozen=True)
class RelativeScores:
    """The three scores of DD-Ranking.

    Attributes:
        hlr: hard-label recovery, accuracy of the full data minus that of the set, both with hard labels; lower is better.
        ior: improvement over random, accuracy of the set minus that of random real clips by the same recipe.
        lrs: label-robust score in [0, 1], which joins the two.
    """

    hlr: float
    ior: float
    lrs: float


def relative_scores(synthetic: float, full: float, random: float, weight: float = WEIGHT) -> RelativeScores:
    """Scores a set.

    The authors' version 0.2.0 exponentiates percentages; here they are fractions, as in the paper.

    Args:
        synthetic, full, random: accuracies in [0, 1] of networks trained on the set, all real clips, random real clips.
        weight: of the improvement over random, in [0, 1].

    Raises:
        ValueError: an accuracy or the weight is not in [0, 1] (percentages are not fractions).
    """
    if not all(0 <= value <= 1 for value in (synthetic, full, random, weight)):
        raise ValueError(f"needs fractions in [0, 1], not {synthetic}, {full}, {random}, weight {weight}")
    hlr, ior = full - synthetic, synthetic - random
    alpha = weight * ior - (1 - weight) * hlr
    lrs = (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))
    return RelativeScores(hlr, ior, lrs)
