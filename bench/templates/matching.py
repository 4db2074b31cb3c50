"""NewMethod: clips learned by matching. Replace the loss; what surrounds it makes it resumable and comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it

from bench.api import Method, Preset, SyntheticSet, Task, Workload
from bench.distill.learner import Learner
from bench.distill.real_start import pixel_bytes
from bench.distill.segments import learn_in_time


@dataclass(frozen=True)
class NewMethodConfig:
    """Hyper-parameters: plain values, set by ``--set new-method.lr=1`` and written into every record.

    Attributes:
        steps: updates of the set, each with a newly initialised network.
        lr: step size on pixels, in network units.
        momentum: of SGD on pixels.
        batch_real: real clips per class and step.
    """

    steps: int = 1000
    lr: float = 1.0
    momentum: float = 0.5
    batch_real: int = 64


@final
class NewMethod(Method[NewMethodConfig]):
    """Synthetic clips whose embeddings have the mean of real ones, in randomly initialised networks."""

    name = "new-method"
    Config = NewMethodConfig
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`
    tuned = ("lr",)  # what `run --tune` may scale
    # Values for a profile, a dataset or a budget, each with its source. "quick" is what runs on a CPU in minutes.
    presets = (Preset({"steps": 200, "batch_real": 32}, source="fewer steps for a CPU; not tuned", profile="quick"),)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`. Starts from the very clips that `random` stores: the paired difference is what learning added."""
        # In whatever temporal setting: key frames, single frames, or one segment after another.
        return learn_in_time(task, self._learn, self.config.steps)

    def _learn(self, task: Task, synthetic: SyntheticSet) -> None:
        """Learns a set in place; any kind of set, through ``tensors()`` and ``render()`` alone."""
        learner = Learner(synthetic, dict.fromkeys(synthetic.tensors(), self.config.lr), self.config.momentum)
        everything = torch.arange(len(synthetic))
        # From the last checkpoint, if the run was stopped. Generators are named by purpose and step, not kept over steps:
        # a resumed run then draws what an unbroken one draws.
        for step in range(learner.resume(task), self.config.steps):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            real_rng = task.rng("real", step)
            found = network.embedding(learner.render(everything, task.rng("render", step)))
            loss = torch.zeros((), device=task.device)
            for label in range(len(task.classes)):
                with torch.no_grad():
                    wanted = network.embedding(task.real(label, self.config.batch_real, real_rng)).mean(dim=0)
                loss = loss + (found[synthetic.labels == label].mean(dim=0) - wanted).square().sum()
            learner.update(loss)
            task.progress(step + 1, self.config.steps, loss=loss.detach())
            task.checkpoint(step + 1, learner.state)  # kept every 20 seconds

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`. Float32 pixels of the frames that the setting stores; to the byte, as plans and budgets rely on it."""
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`. Forward passes of real clips, forward and backward ones (1 + 2) of synthetic clips."""
        return float(self.config.steps * work.classes * (self.config.batch_real + 3 * work.ipc))

    def declines(self, work: Workload) -> str | None:
        """Nothing: `learn_in_time` carries out every setting. Without this method: whole clips only."""
        return None
