"""NewMethod: a representation of its own, and a method that learns it. Replace what is stored and how it is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it
from typing_extensions import override

from bench.api import Count, Method, Positive, Preset, SyntheticSet, Task, Workload
from bench.core.config import Value
from bench.core.upload import upload
from bench.distill.features import class_means
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

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        # All that `render` uses, the tensors themselves: this, and nothing else, is counted in bytes.
        return {"images": self.images, "motion": self.motion}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        # Differentiable in `tensors()`: no detach, no numpy.
        index = upload(index, self.images.device)
        images, motion = self.images[index], self.motion[index]
        frames, (height, width) = motion.shape[2], images.shape[2:]
        full_size = torch.nn.functional.interpolate(motion, size=(frames, height, width), mode="trilinear")
        return images.unsqueeze(2) + full_size

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        return cls(tensors["images"], tensors["motion"], labels)  # the set again, from what lies on disk


@dataclass(frozen=True)
class NewMethodConfig:
    """Hyper-parameters: plain values, set by ``--set new-method.lr=1`` and written into every record."""

    shrink: Count = 4  # how many times smaller than a frame the motion is, each way
    steps: Count = 1000  # updates of the set, each with a newly initialised network
    lr: Positive = 0.3  # step size, in network units
    batch_real: Count = 64  # real clips per class and step

    def coarse(self, side: int) -> int:
        """Pixels of a side of the motion."""
        return max(1, side // self.shrink)


@final
class NewMethod(Method[NewMethodConfig]):
    """A still image and coarse motion a clip, learned by matching mean features of real clips."""

    name = "new-method"
    Config = NewMethodConfig
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`
    tuned = ("lr",)  # what `run --tune` may scale
    # Values for a profile, a dataset or a budget, each with its source. "quick" is what runs on a CPU in minutes.
    presets = (Preset({"steps": 200, "batch_real": 32}, source="fewer steps for a CPU; not tuned", profile="quick"),)

    @override
    def distill(self, task: Task) -> SyntheticSet:
        synthetic = self._start(task)
        learner = Learner(synthetic, dict.fromkeys(synthetic.tensors(), self.config.lr))
        everything = torch.arange(len(synthetic))
        own = [
            upload((synthetic.labels == label).nonzero().flatten(), task.device) for label in range(len(task.classes))
        ]
        # Generators are named by purpose and step, not kept over steps: a resumed run draws what an unbroken one draws.
        for step in learner.steps(task, self.config.steps):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            real = class_means(task, network.features, self.config.batch_real, task.rng("real", step))
            features = network.features(learner.render(everything, task.rng("render", step)))
            means = [features[index].mean(dim=0) for index in own]
            learner.update((torch.stack(means) - real).square().sum())
        return synthetic

    def _start(self, task: Task) -> NewMethodSet:
        """Image and motion of the clips that `random` stores: the paired difference is what learning added."""
        chosen = random_choice(task)
        clips = task.clips(torch.cat(chosen))
        images = clips.mean(dim=2)
        size = (task.clip.frames, self.config.coarse(task.clip.height), self.config.coarse(task.clip.width))
        motion = torch.nn.functional.interpolate(clips - images.unsqueeze(2), size=size, mode="area")
        return NewMethodSet(images.contiguous(), motion.contiguous(), labels_of(chosen))

    @override
    def stored_bytes(self, work: Workload) -> int:
        # To the byte: plans and byte budgets rely on it.
        clip = work.clip
        motion = clip.frames * self.config.coarse(clip.height) * self.config.coarse(clip.width)
        return 4 * work.classes * work.ipc * clip.channels * (clip.height * clip.width + motion)

    @override
    def clip_passes(self, work: Workload) -> float:
        # Forward passes of real clips; forward and backward ones (1 + 2) of synthetic clips.
        return float(self.config.steps * work.classes * (self.config.batch_real + 3 * work.ipc))

    # No `declines`: whole clips only. The set is a way to save time by itself; temporal settings are another.
