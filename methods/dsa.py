"""DSA (Zhao & Bilen, "Dataset condensation with differentiable siamese augmentation", ICML 2021): DC under one transform."""

from __future__ import annotations

from typing import final

from bench.api import Method, SyntheticSet, Task, Workload
from methods._augment import siamese
from methods.dc import (
    PRESETS,
    DCConfig,
    clip_or_image_bytes,
    declines_images,
    gradient_passes,
    learn_pixels,
)


@final
class DSA(Method[DCConfig]):
    """DC with each class's real and synthetic clips under one shared random transform."""

    name = "dsa"
    Config = DCConfig
    paper = "Zhao & Bilen, ICML 2021"
    tuned = ("lr",)
    shares = ("real-gradients",)
    presets = PRESETS

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_pixels(task, self.config, siamese)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return clip_or_image_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return gradient_passes(work, self.config)

    def declines(self, work: Workload) -> str | None:
        """See `Method`."""
        return declines_images(work, self.config, self.name)
