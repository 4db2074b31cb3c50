"""NewMethod: a representation of its own, and a method that learns it. Replace what is stored and how it is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it

from bench.api import Method, Preset, SyntheticSet, Task, Workload
from bench.core.config import Value
from bench.distill.learner import Learner
from bench.distill.real_start import labels_of, random_choice


@final
class NewMethodSet(SyntheticSet):
    """A sharp still image of each clip, and its motion at a fraction of the resolution.

    Attributes:
        images: ``(N, C, H, W)`` float32, network units.
        motion: ``(N, C, T, H / shrink, W / shrink)`` float32, what is added to the image over time.
        labels: see `SyntheticSet`.
    """

    name = "new-method-set"  # written into the manifest beside the stored tensors

    def __init__(self, images: torch.Tensor, motion: torch.Tensor, labels: torch.Tensor) -> None:
        self.images = images
        self.motion = motion
        self.labels = labels

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `SyntheticSet`. All that `render` uses, the tensors themselves: this, and nothing else, is counted in bytes."""
        return {"images": self.images, "motion": self.motion}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """See `SyntheticSet`. Differentiable in ``tensors()``: no detach, no numpy."""
        index = index.to(self.images.device)
        images, motion = self.images[index], self.motion[index]
        frames, (height, width) = motion.shape[2], images.shape[2:]
        grown = torch.nn.functional.interpolate(motion, size=(frames, height, width), mode="trilinear")
        return images.unsqueeze(2) + grown

    @classmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """See `SyntheticSet`. The set again, from what lies on disk."""
        return cls(tensors["images"], tensors["motion"], labels)


@dataclass(frozen=True)
class NewMethodConfig:
    """Hyper-parameters: plain values, set by ``--set new-method.lr=1`` and written into every record.

    Attributes:
        shrink: how many times smaller than a frame the motion is, each way.
        steps: updates of the set, each with a newly initialised network.
        lr: step size, in network units.
        batch_real: real clips per class and step.
    """

    shrink: int = 4
    steps: int = 1000
    lr: float = 0.3
    batch_real: int = 64


@final
class NewMethod(Method[NewMethodConfig]):
    """A still image and coarse motion a clip, learned by matching mean features of real clips."""

    name = "new-method"
    Config = NewMethodConfig
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`
    tuned = ("lr",)  # what `run --tune` may scale
    # Values for a profile, a dataset or a budget, each with its source. "quick" is what runs on a CPU in minutes.
    presets = (Preset({"steps": 200, "batch_real": 32}, source="fewer steps for a CPU; not tuned", profile="quick"),)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        chosen = random_choice(task)  # the clips that `random` stores: the paired difference is what learning added
        clips = task.clips(torch.cat(chosen))
        images = clips.mean(dim=2)
        height, width = self._coarse(task.clip.height), self._coarse(task.clip.width)
        motion = torch.nn.functional.interpolate(
            clips - images.unsqueeze(2), size=(task.clip.frames, height, width), mode="area"
        )
        synthetic = NewMethodSet(images.contiguous(), motion.contiguous(), labels_of(chosen))
        learner = Learner(synthetic, dict.fromkeys(synthetic.tensors(), self.config.lr))
        everything = torch.arange(len(synthetic))
        # From the last checkpoint, if the run was stopped. Generators are named by purpose and step, not kept over steps:
        # a resumed run then draws what an unbroken one draws.
        for step in range(learner.resume(task), self.config.steps):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            real_rng = task.rng("real", step)
            found = network.features(learner.render(everything, task.rng("render", step)))
            loss = torch.zeros((), device=task.device)
            for label in range(len(task.classes)):
                with torch.no_grad():
                    wanted = network.features(task.real(label, self.config.batch_real, real_rng)).mean(dim=0)
                loss = loss + (found[synthetic.labels == label].mean(dim=0) - wanted).square().sum()
            learner.update(loss)
            task.progress(step + 1, self.config.steps, loss=loss.detach())
            task.checkpoint(step + 1, learner.state)  # kept every 20 seconds
        return synthetic

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`. To the byte: plans and byte budgets rely on it."""
        clip = work.clip
        image = clip.height * clip.width
        motion = clip.frames * self._coarse(clip.height) * self._coarse(clip.width)
        return 4 * work.classes * work.ipc * clip.channels * (image + motion)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`. Forward passes of real clips, forward and backward ones (1 + 2) of synthetic clips."""
        return float(self.config.steps * work.classes * (self.config.batch_real + 3 * work.ipc))

    # No `declines`: whole clips only. The set is a way to save time by itself; temporal settings are another.

    def _coarse(self, side: int) -> int:
        """Pixels of a side of the motion."""
        return max(1, side // self.config.shrink)
