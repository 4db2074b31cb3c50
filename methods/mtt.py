"""MTT, trajectory matching (Cazenavette et al., "Dataset distillation by matching training trajectories", CVPR 2022).

With the approximate gradient of TESLA (Cui et al., "Scaling up dataset distillation to ImageNet-1K with constant memory",
ICML 2023) as an option, and an exact gradient whose memory does not grow with the number of steps either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from typing_extensions import override

from bench.api import (
    Artefact,
    Count,
    CountOrZero,
    Footprint,
    Momentum,
    Positive,
    PositiveOrZero,
    SyntheticSet,
    Task,
    Workload,
)
from bench.core.upload import upload
from bench.distill.functional import FlatNetwork
from bench.distill.learner import Learner
from bench.distill.matching import Matching

from ._experts import Experts
from ._presets import Values, example, main_job, quick, released
from ._unroll import BACKWARD, InnerLoss


@dataclass(frozen=True)
class MTTMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned."""

    steps: Count = 8000  # updates of the set
    syn_steps: Count = 10  # SGD steps of the student on the set (N)
    expert_epochs: Count = 1  # expert epochs that these should equal (M)
    max_start_epoch: Count = 10  # starts are drawn from the expert epochs before this one
    batch_syn: CountOrZero = 0  # synthetic clips per student step; 0 takes the whole set
    momentum: Momentum = 0.5  # of SGD on what is learned
    # How the gradient is computed, see `methods._unroll`.
    backward: Literal["unrolled", "stepwise", "tesla"] = "unrolled"
    learn_rate: bool = True  # whether the student's learning rate is learned, and stored
    rate: Positive = 0.01  # the student's learning rate at the start: the experts'
    lr_rate: PositiveOrZero = 1e-5  # step size on it; it is kept above 0.001
    # Soft: each clip's class probabilities in an expert after its last epoch (TESLA); they are stored.
    labels: Literal["hard", "soft"] = "hard"
    experts: Count = 30  # how many
    expert_lr: Positive = 0.01  # of their SGD
    expert_batch: Count = 256

    def last_epoch(self) -> int:
        """The last expert epoch that matching can reach."""
        return self.max_start_epoch - 1 + self.expert_epochs


@dataclass(frozen=True)
class MTTConfig(MTTMatching):
    """Hyper-parameters of MTT on pixels; the defaults are those of the video release."""

    lr: Positive = 1e5  # step size on pixels, in network units


UNREAD = "the release trains 50 expert epochs; only the first max_start_epoch - 1 + expert_epochs are ever read, so only these are trained"
QUICK: Values = {
    "steps": 150,
    "syn_steps": 5,
    "max_start_epoch": 4,
    "experts": 4,
    "expert_lr": 0.03,
    "expert_batch": 64,
    "rate": 0.03,
    "lr_rate": 1e-6,
}
MAIN_JOB: Values = {"steps": 50, "max_start_epoch": 2, "experts": 3}


@final
class MTT(Matching[MTTConfig]):
    """Synthetic clips on which a network takes in a few steps the way that experts take on real clips."""

    name = "mtt"
    Config = MTTConfig
    paper = "Cazenavette et al., CVPR 2022; TESLA: Cui et al., ICML 2023"
    tuned = ("lr",)
    shares = ("experts",)
    presets = (
        released(
            {"steps": 8000, "syn_steps": 10, "expert_epochs": 1, "max_start_epoch": 10, "experts": 30}, note=UNREAD
        ),
        example({"lr": 1e5}, "miniucf", ipc=1),
        quick({**QUICK, "lr": 100.0}),
        main_job(MAIN_JOB),
    )

    @override
    def before(self) -> Values:
        return {"rate": self.config.rate} if self.config.learn_rate else {}

    @override
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:  # Algorithm 1
        config, last = self.config, self.config.last_epoch()
        experts = task.upstream(Experts(config.experts, last, config.expert_lr, config.expert_batch))
        student = FlatNetwork(task.network(task.rng("student")))
        if config.labels == "soft":
            synthetic.labels = soft_labels(task, synthetic, experts.rows(0, "theta", slice(last, last + 1))[0])
        if config.learn_rate:
            synthetic.rate = torch.full((), config.rate, device=task.device)
            rates = {**rates, "rate": config.lr_rate}
        learner = Learner(synthetic, rates, config.momentum, floors={"rate": 0.001} if config.learn_rate else None)

        for step in learner.steps(task, config.steps):
            start, target = draw_segment(task, experts, config, step)
            learner.track()
            rate = synthetic.rate if synthetic.rate is not None else torch.full((), config.rate, device=task.device)
            inner = inner_loss(task, synthetic, student, config, step)
            learned = tuple(learner.learned.values())
            loss, gradients = BACKWARD[config.backward](inner, start, target, rate, config.syn_steps, learned)
            shown = {} if synthetic.rate is None else {"rate": synthetic.rate}
            learner.apply(gradients, loss=loss, **shown)

    @override
    def extra_bytes(self, work: Workload) -> int:  # a learned rate, and soft labels
        soft = work.classes * work.ipc * work.classes if self.config.labels == "soft" else 0
        return 4 * (int(self.config.learn_rate) + soft)

    @override
    def clip_passes(self, work: Workload) -> float:
        # The experts' training; forward, backward and their derivative of every student step.
        experts = self.config.experts * self.config.last_epoch() * 3 * work.train
        stored = work.classes * work.ipc
        batch = min(self.config.batch_syn or stored, stored)
        return float(experts + self.config.steps * self.config.syn_steps * 9 * batch)

    @override
    def footprint(self, work: Workload) -> Footprint:
        # Unrolled, the graph holds the clips of all student steps, and of each its parameters and their gradient.
        config, stored = self.config, work.classes * work.ipc
        batch, kept = min(config.batch_syn or stored, stored), config.syn_steps if config.backward == "unrolled" else 1
        return Footprint(
            training=min(config.expert_batch, work.train), double=kept * batch,
            networks=4 + 3 * config.syn_steps, host_networks=2 * (config.last_epoch() + 1),
        )  # fmt: skip

    @override
    def declines(self, work: Workload) -> str | None:  # segments have nothing in common that could be learned
        if work.setting.segments > 1 and (self.config.learn_rate or self.config.labels == "soft"):
            return f"{self.name} learns one rate and one label a clip, not one a segment; set learn_rate=false, labels=hard"
        return None


def draw_segment(task: Task, experts: Artefact, config: MTTMatching, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A random expert's parameters ``(P,)`` at a random epoch, and M epochs later."""
    rng = task.rng("segment", step)
    expert = int(torch.randint(config.experts, (), generator=rng))
    epoch = int(torch.randint(config.max_start_epoch, (), generator=rng))
    ends = upload(experts.rows(expert, "theta", slice(epoch, epoch + config.expert_epochs + 1)), task.device)
    return ends[0], ends[-1]


def inner_loss(task: Task, synthetic: SyntheticSet, student: FlatNetwork, config: MTTMatching, step: int) -> InnerLoss:
    """The student's loss at step i with parameters theta: a function that can be called again for the same value."""
    size = min(config.batch_syn or len(synthetic), len(synthetic))
    epochs = -(-config.syn_steps * size // len(synthetic)) + 1
    order = task.rng("batches", step)
    batches = [
        batch for _ in range(epochs) for batch in torch.split(torch.randperm(len(synthetic), generator=order), size)
    ]  # fmt: skip
    labels = upload(synthetic.labels, task.device)

    def loss(i: int, theta: torch.Tensor) -> torch.Tensor:
        number = step * config.syn_steps + i
        clips = synthetic.render(batches[i], task.rng("render", number))
        logits = student.logits(theta, clips, task.rng("masks", number))
        return torch.nn.functional.cross_entropy(logits, labels[upload(batches[i], labels.device)])

    return loss


def soft_labels(task: Task, synthetic: SyntheticSet, theta: torch.Tensor) -> torch.Tensor:
    """Class probabilities ``(N, classes)`` of the set's clips in a network with parameters ``theta`` ``(P,)``."""
    network = task.network(task.rng("student")).eval()
    torch.nn.utils.vector_to_parameters(upload(theta, task.device), network.parameters())
    with torch.no_grad():
        clips = synthetic.render(torch.arange(len(synthetic)), task.rng("render soft labels"))
        logits: torch.Tensor = network(clips)
    return logits.softmax(dim=1)
