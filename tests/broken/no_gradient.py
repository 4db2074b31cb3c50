"""Broken on purpose: render() cuts the graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.api import Method, SyntheticSet, Task, Workload
from bench.distill.real_start import pixel_bytes, real_initialisation


class CutSet(SyntheticSet):
    """Whole clips, rendered without their graph."""

    name = "broken-cut"

    def __init__(self, clips: torch.Tensor, labels: torch.Tensor) -> None:
        self.clips = clips
        self.labels = labels

    @classmethod
    def restore(cls, tensors, labels, options):
        return cls(tensors["clips"], labels)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"clips": self.clips}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.clips[index].detach()


@dataclass(frozen=True)
class Config:
    """How many steps."""

    steps: int = 6


class NoGradient(Method[Config]):
    """Clips that no gradient reaches."""

    name = "broken-no-gradient"
    Config = Config

    def distill(self, task: Task) -> SyntheticSet:
        start = real_initialisation(task)
        synthetic = CutSet(start.clips, start.labels)
        done = 0
        if (kept := task.resume()) is not None:
            done = kept[0]
            synthetic.clips.copy_(kept[1]["clips"])
        for step in range(done, self.config.steps):
            wanted = torch.stack(
                [task.real(label, 4, task.rng("real", step)).mean(dim=0) for label in range(len(task.classes))]
            )
            synthetic.clips.lerp_(wanted[synthetic.labels], 0.1)
            task.progress(step + 1, self.config.steps, loss=0.0)
            task.checkpoint(step + 1, synthetic.tensors)
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        return float(self.config.steps)
