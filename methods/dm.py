"""DM, distribution matching (Zhao & Bilen, "Dataset condensation with distribution matching", WACV 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from bench.api import Method, SyntheticSet, Task, Workload
from bench.segments import learn_in_time
from bench.synthetic.choose import pixel_bytes
from bench.synthetic.learner import Learner
from methods._presets import main_job, quick, released

if TYPE_CHECKING:
    from bench.nets.classifier import Classifier

_REAL_CHUNK = 64  # clips per gradient-free forward pass; changes memory, not results


@dataclass(frozen=True)
class DMMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned.

    Attributes:
        steps: updates of the set, each with a newly initialised network.
        momentum: of SGD on what is learned.
        batch_real: real clips per class and step.
    """

    steps: int = 5000
    momentum: float = 0.5
    batch_real: int = 64


@dataclass(frozen=True)
class DMConfig(DMMatching):
    """Hyper-parameters of DM on whole clips; the defaults are those of the video release.

    Attributes:
        lr: step size on pixels (network units).
    """

    lr: float = 30.0


@final
class DM(Method[DMConfig]):
    """Synthetic clips whose mean features match those of real clips in randomly initialised networks."""

    name = "dm"
    Config = DMConfig
    paper = "Zhao & Bilen, WACV 2023"
    tuned = ("lr",)
    presets = (
        released(
            {"lr": 30.0, "steps": 5000, "momentum": 0.5, "batch_real": 64},
            ipc=1,
            note="the release gives no value for IPC 5; the same is used there",
        ),
        quick({"steps": 300, "lr": 3.0, "batch_real": 32}),
        main_job({"steps": 100}),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_in_time(task, self._learn, self.config.steps)

    def _learn(self, task: Task, synthetic: SyntheticSet) -> None:
        rates = dict.fromkeys(synthetic.tensors(), self.config.lr)
        match_distribution(task, Learner(synthetic, rates, self.config.momentum), self.config)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return pixel_bytes(work, 4)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return distribution_passes(work, self.config)

    def declines(self, work: Workload) -> str | None:
        """Never."""
        return None


def match_distribution(task: Task, learner: Learner, config: DMMatching) -> None:
    """Algorithm 1 of the paper, on any kind of set."""
    everything = torch.arange(len(learner.synthetic))
    for step in range(learner.resume(task), config.steps):
        network = task.network(task.rng("network", step)).requires_grad_(False)
        real = real_means(task, network, config.batch_real, step)
        found = network.features(learner.render(everything, task.rng("render", step)))
        loss = dm_loss(real, found, learner.synthetic.labels)
        learner.update(loss)
        task.progress(step + 1, config.steps, loss=float(loss.detach()))
        task.checkpoint(step + 1, learner.state)


def real_means(task: Task, network: Classifier, batch_real: int, step: int) -> torch.Tensor:
    """Mean feature of ``batch_real`` random real clips of each class, ``(classes, F)``, without gradient."""
    rng = task.rng("real", step)
    classes = len(task.classes)
    clips = torch.cat([task.real(label, batch_real, rng) for label in range(classes)])
    with torch.no_grad():
        found = [network.features(clips[i : i + _REAL_CHUNK]) for i in range(0, len(clips), _REAL_CHUNK)]
    return torch.cat(found).view(classes, batch_real, -1).mean(dim=1)


def dm_loss(real: torch.Tensor, synthetic: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum over classes of the squared distance between mean features (eq. 5 of the paper, with a linear kernel).

    Args:
        real: ``(classes, F)`` mean features of the real batches.
        synthetic: ``(N, F)`` features of the synthetic clips.
        labels: ``(N,)`` their classes; every class must occur.

    Returns:
        A scalar.
    """
    member = torch.nn.functional.one_hot(labels.to(real.device), len(real)).to(synthetic.dtype)  # (N, classes)
    means = (member / member.sum(dim=0)).T @ synthetic
    return (real - means).square().sum()


def distribution_passes(work: Workload, config: DMMatching) -> float:
    """Clip passes: a forward pass of the real clips, forward and backward of the synthetic ones."""
    return float(config.steps * work.classes * (config.batch_real + 3 * work.ipc))
