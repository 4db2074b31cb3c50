"""NewMethod: clips learned by matching. Replace the loss; where clips start, what is stored and resuming are seen to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it
from typing_extensions import override

from bench.api import Count, Momentum, Positive, Preset, SyntheticSet, Task, Workload
from bench.core.upload import upload
from bench.distill.features import class_means
from bench.distill.learner import Learner
from bench.distill.matching import Matching


@dataclass(frozen=True)
class NewMethodConfig:
    """Hyper-parameters: plain values, set by ``--set new-method.lr=1`` and written into every record."""

    steps: Count = 1000  # updates of the set, each with a newly initialised network
    lr: Positive = 1.0  # step size on pixels, in network units
    momentum: Momentum = 0.5  # of SGD on pixels
    batch_real: Count = 64  # real clips per class and step


@final
class NewMethod(Matching[NewMethodConfig]):
    """Synthetic clips whose embeddings have the mean of real ones, in randomly initialised networks."""

    name = "new-method"
    Config = NewMethodConfig
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`
    tuned = ("lr",)  # what `run --tune` may scale
    # Values for a profile, a dataset or a budget, each with its source. "quick" is what runs on a CPU in minutes.
    presets = (Preset({"steps": 200, "batch_real": 32}, source="fewer steps for a CPU; not tuned", profile="quick"),)

    @override
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:
        # The set starts as the very clips that `random` stores: the paired difference is what learning added.
        learner = Learner(synthetic, rates, self.config.momentum)
        everything = torch.arange(len(synthetic))
        own = [
            upload((synthetic.labels == label).nonzero().flatten(), task.device) for label in range(len(task.classes))
        ]
        # Generators are named by purpose and step, not kept over steps: a resumed run draws what an unbroken one draws.
        for step in learner.steps(task, self.config.steps):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            real = class_means(task, network.embedding, self.config.batch_real, task.rng("real", step))
            embeddings = network.embedding(learner.render(everything, task.rng("render", step)))
            means = [embeddings[index].mean(dim=0) for index in own]
            learner.update((torch.stack(means) - real).square().sum())

    @override
    def clip_passes(self, work: Workload) -> float:
        # Forward passes of real clips; forward and backward ones (1 + 2) of synthetic clips.
        return float(self.config.steps * work.classes * (self.config.batch_real + 3 * work.ipc))
