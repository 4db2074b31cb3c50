"""DM, distribution matching (Zhao & Bilen, "Dataset condensation with distribution matching", WACV 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from typing_extensions import override

from bench.api import Count, Footprint, Momentum, Positive, SyntheticSet, Task, Workload
from bench.core.upload import upload
from bench.distill.features import CHUNK, class_means
from bench.distill.gradient_blocks import MOST_CLIPS, class_blocks
from bench.distill.learner import Learner
from bench.distill.matching import Matching, PerStep

from ._presets import example, main_job, quick, released


@dataclass(frozen=True)
class DMMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned."""

    steps: Count = 5000  # updates of the set, each with a newly initialised network
    momentum: Momentum = 0.5  # of SGD on what is learned
    batch_real: Count = 64  # real clips per class and step


@dataclass(frozen=True)
class DMConfig(DMMatching):
    """Hyper-parameters of DM on pixels; the defaults are those of the video release."""

    lr: Positive = 30.0  # step size on pixels, in network units


@final
class DM(Matching[DMConfig]):
    """Synthetic clips whose mean features match those of real clips in randomly initialised networks."""

    name = "dm"
    Config = DMConfig
    paper = "Zhao & Bilen, WACV 2023"
    tuned = ("lr",)
    shares = ("real-means",)
    presets = (
        released({"steps": 5000, "momentum": 0.5, "batch_real": 64}),
        example({"lr": 30.0}, "miniucf", ipc=1),
        quick({"steps": 300, "lr": 3.0, "batch_real": 32}),
        main_job({"steps": 100}),
    )

    @override
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:  # Algorithm 1
        learner = Learner(synthetic, rates, self.config.momentum)
        blocks = class_blocks(synthetic.labels, len(task.classes))
        real_means = RealMeans(task, self.config.steps, self.config.batch_real).shared(task)
        for step in learner.steps(task, self.config.steps):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            real = real_means(step)
            learner.update_in_blocks(
                blocks,
                task.rng("render", step),
                lambda block, clips: dm_loss(block.of(real), network.features(clips), block.own),  # noqa: B023
            )

    @override
    def clip_passes(self, work: Workload) -> float:  # forward of real clips, forward and backward of synthetic ones
        real = min(self.config.batch_real, work.train // work.classes)
        return float(self.config.steps * work.classes * (real + 3 * work.ipc))

    @override
    def footprint(self, work: Workload) -> Footprint:
        synthetic = min(work.classes * work.ipc, max(MOST_CLIPS, work.ipc))
        return Footprint(forward=min(CHUNK, work.classes * self.config.batch_real), through=synthetic)


def dm_loss(real: torch.Tensor, synthetic: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 5, linear kernel: the squared distance of real means ``(classes, F)`` from those of features ``(N, F)``, summed."""
    member = torch.nn.functional.one_hot(upload(labels, real.device), len(real)).to(synthetic.dtype)  # (N, classes)
    means = (member / member.sum(dim=0)).T @ synthetic
    return (real - means).square().sum()


@final
class RealMeans(PerStep):
    """The mean feature of each class's real clips in each step's network, ``(classes, F)``."""

    name = "real-means"
    version = 2

    @override
    def of_step(self, task: Task, step: int) -> torch.Tensor:
        network = task.network(task.rng("network", step))
        return class_means(task, network.features, self.batch_real, task.rng("real", step))
