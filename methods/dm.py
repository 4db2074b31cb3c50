"""DM, distribution matching (Zhao & Bilen, "Dataset condensation with distribution matching", WACV 2023)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from bench.api import Method, SyntheticSet, Task, Upstream, Workload
from bench.distill.gradient_blocks import Block, class_blocks, in_blocks, pulled_back
from bench.distill.learner import Learner
from bench.distill.real_start import pixel_bytes
from bench.distill.segments import learn_in_time
from methods._presets import main_job, quick, released

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value

BLOCK = 20
"""Steps whose real mean features lie in one file, and are made by one process."""

# Clips per pass, without gradient and with it. They change memory, and results by no more than rounding.
_REAL_CHUNK = 64
_BLOCK_CLIPS = 64


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
    shares = ("real-means",)
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
    blocks = class_blocks(learner.synthetic.labels, len(task.classes), _BLOCK_CLIPS)
    means = task.upstream(RealMeans(config.steps, config.batch_real, _mean_bytes(task)))
    for step in range(learner.resume(task), config.steps):
        network = task.network(task.rng("network", step)).requires_grad_(False)
        real = means.rows(step // BLOCK, "means", slice(step % BLOCK, step % BLOCK + 1))[0].to(task.device)
        clips = learner.render(everything, task.rng("render", step))
        loss, gradient = in_blocks(clips, blocks, functools.partial(_block_loss, network, real))
        learner.apply(pulled_back(clips, gradient, list(learner.learned.values())))
        task.progress(step + 1, config.steps, loss=loss)
        task.checkpoint(step + 1, learner.state)


def _block_loss(network: Classifier, real: torch.Tensor, block: Block, clips: torch.Tensor) -> torch.Tensor:
    return dm_loss(real[block.labels.start : block.labels.stop], network.features(clips), block.own)


@final
@dataclass(frozen=True)
class RealMeans(Upstream):
    """The real side of every step, ``means`` ``(BLOCK, classes, F)`` a part: most of the work, and none of it the set's.

    It depends on the distillation seed and the step alone, hence serves every IPC, temporal setting and kind of set.

    Attributes:
        steps: how many are asked for.
        batch_real: real clips per class and step.
        mean_bytes: of one step's mean features.
    """

    steps: int
    batch_real: int
    mean_bytes: int

    name = "real-means"

    @property
    def parts(self) -> int:  # type: ignore[override]
        """One per `BLOCK` steps."""
        return -(-self.steps // BLOCK)

    @property
    def part_bytes(self) -> int:  # type: ignore[override]
        """See `Upstream`."""
        return BLOCK * self.mean_bytes

    def key(self) -> Mapping[str, Value]:
        """All but the number of steps: asking for more of them makes only the new ones."""
        return {"batch_real": self.batch_real}

    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """The mean features of one block of steps."""
        means = []
        for step in range(part * BLOCK, (part + 1) * BLOCK):
            network = task.network(task.rng("network", step)).requires_grad_(False)
            means.append(real_means(task, network, self.batch_real, step))
            task.progress(step + 1, self.parts * BLOCK)
        return {"means": torch.stack(means).cpu()}


def _mean_bytes(task: Task) -> int:
    """Bytes of the mean features of all classes."""
    with torch.no_grad():
        features = task.network(task.rng("size")).features(task.clips(task.indices(0)[:1]))
    return len(task.classes) * features.shape[1] * features.element_size()


def real_means(task: Task, network: Classifier, batch_real: int, step: int) -> torch.Tensor:
    """Mean feature of ``batch_real`` random real clips of each class, ``(classes, F)``, without gradient."""
    index, views = task.draw_classes(batch_real, task.rng("real", step))
    with torch.no_grad():
        found = [
            network.features(task.clips(index[i : i + _REAL_CHUNK], views[i : i + _REAL_CHUNK]))
            for i in range(0, len(index), _REAL_CHUNK)
        ]
    return torch.cat(found).view(len(task.classes), batch_real, -1).mean(dim=1)


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
