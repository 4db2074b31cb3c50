"""Broken on purpose: a checkpoint holds the clips and not the momentum."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes, real_initialisation


@dataclass(frozen=True)
class Config:
    """How many steps."""

    steps: int = 6


class ForgetsMomentum(Method[Config]):
    """Clips that drift towards the real mean, with momentum."""

    name = "broken-forgets-momentum"
    Config = Config

    def distill(self, task: Task) -> SyntheticSet:
        synthetic = real_initialisation(task)
        clips, velocity, start = synthetic.clips, torch.zeros_like(synthetic.clips), 0
        if (kept := task.resume()) is not None:
            start = kept[0]
            clips.copy_(kept[1]["clips"])
        for step in range(start, self.config.steps):
            wanted = torch.stack(
                [task.real(label, 4, task.rng("real", step)).mean(dim=0) for label in range(len(task.classes))]
            )
            velocity = 0.9 * velocity + wanted[synthetic.labels] - clips
            clips.add_(0.1 * velocity)
            task.progress(step + 1, self.config.steps, loss=float(velocity.square().mean()))
            task.checkpoint(step + 1, synthetic.tensors)
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return float(self.config.steps)
