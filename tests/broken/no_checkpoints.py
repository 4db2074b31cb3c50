"""Broken on purpose: it keeps no checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes, real_initialisation


@dataclass(frozen=True)
class Config:
    """How many steps."""

    steps: int = 6


class NoCheckpoints(Method[Config]):
    """Clips that drift towards the real mean."""

    name = "broken-no-checkpoints"
    Config = Config

    def distill(self, task: Task) -> SyntheticSet:
        synthetic = real_initialisation(task)
        for step in range(self.config.steps):
            wanted = torch.stack(
                [task.real(label, 4, task.rng("real", step)).mean(dim=0) for label in range(len(task.classes))]
            )
            synthetic.clips.lerp_(wanted[synthetic.labels], 0.1)
            task.progress(step + 1, self.config.steps, loss=0.0)
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return float(self.config.steps)
