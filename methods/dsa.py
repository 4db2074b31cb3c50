"""DSA (Zhao & Bilen, "Dataset condensation with differentiable siamese augmentation", ICML 2021): DC under one transform."""

from __future__ import annotations

from typing import final

from typing_extensions import override

from ._augment import siamese
from .dc import Augment, GradientMatching


@final
class DSA(GradientMatching):
    """DC with each class's real and synthetic clips under one shared random transform."""

    name = "dsa"
    paper = "Zhao & Bilen, ICML 2021"

    @override
    def augment(self) -> Augment:
        return siamese
