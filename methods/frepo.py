"""FRePo, neural feature regression with pooling (Zhou, Nezhadarya & Ba, "Dataset distillation using neural feature regression",
NeurIPS 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Count, CountOrZero, Footprint, Fraction, Positive, PositiveOrZero, SyntheticSet, Task, Workload
from bench.core.schedules import cosine, rising_cosine
from bench.core.upload import upload
from bench.distill.functional import use_masks
from bench.distill.learner import Descent, Learner
from bench.distill.matching import Matching
from bench.distill.real_start import labels_of

from ._presets import Values, main_job, quick

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


@dataclass(frozen=True)
class FRePoMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned."""

    steps: Count = 10000  # updates of the set
    batch_real: Count = 512  # real clips, of any class, per step; all are seen once before any is seen again
    learn_labels: bool = True  # whether labels are learned, and stored
    lr_labels: PositiveOrZero = 1e-3  # Adam's step size on them, at first
    lr_end: Fraction = 0.1  # to which all step sizes on the set fall by a cosine, as a share of the smallest of them
    ridge: Positive = 1e-6  # of the regression, as a share of the mean of the kernel's diagonal
    pool: Count = 10  # networks that are trained on the set meanwhile
    pool_updates: Count = 100  # after so many a network of the pool is replaced by a new one
    pool_lr: Positive = 1e-4  # Adam's step size on the networks of the pool, before warm-up and cosine
    pool_warm_up: CountOrZero = 500  # updates over which it would rise from a hundredth, while a cosine lets it fall
    pool_batch: Count = 500  # clips of the set per update of a network


@dataclass(frozen=True)
class FRePoConfig(FRePoMatching):
    """Hyper-parameters of FRePo on pixels."""

    lr: Positive = 1e-3  # Adam's step size on pixels at first, in network units


QUICK: Values = {"steps": 300, "batch_real": 128, "pool": 5, "pool_updates": 50, "pool_warm_up": 250, "pool_lr": 1e-3}
MAIN_JOB: Values = {"steps": 100, "pool_updates": 20, "pool_warm_up": 100}


@final
class FRePo(Matching[FRePoConfig]):
    """Synthetic clips and labels from which the labels of real clips can be regressed, in networks trained on them meanwhile."""

    name = "frepo"
    version = 2
    Config = FRePoConfig
    paper = "Zhou, Nezhadarya & Ba, NeurIPS 2022"
    tuned = ("lr",)
    presets = (quick({**QUICK, "lr": 0.01}), main_job(MAIN_JOB))

    @override
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:  # Algorithm 1
        config, classes = self.config, len(task.classes)
        if config.learn_labels:
            give_regression_labels(synthetic, classes, task.device)
            rates = {**rates, "labels": config.lr_labels}
        learner = Learner(synthetic, rates, optimiser="adam")
        by_class = [task.indices(label) for label in range(classes)]
        index, truth, everything = torch.cat(by_class), labels_of(by_class), torch.arange(len(synthetic))
        last = config.lr_end * min(rates.values())
        pool = Pool(task, config)
        if (checkpoint := task.resume()) is not None:
            pool.load(checkpoint[1])

        for step in learner.steps(task, config.steps, more=pool.state):
            learner.set_rates({name: cosine(rate, last, step / config.steps) for name, rate in rates.items()})
            drawn = real_batch(task, len(index), config.batch_real, step)
            real = task.clips(index[drawn], torch.randint(task.views(), drawn.shape, generator=task.rng("real", step)))
            number = int(torch.randint(config.pool, (), generator=task.rng("pool", step)))

            clips = learner.render(everything, task.rng("render", step))
            targets = synthetic.labels
            if targets.dim() == 1:
                targets = upload(centred(targets, classes), task.device)
            network = pool.network(number)
            with torch.no_grad():
                real_features = network.features(real)
            predicted = regress(network.features(clips), targets, real_features, config.ridge)
            wanted = upload(centred(truth[drawn], classes).to(predicted.dtype), predicted.device)
            errors = (predicted - wanted).square().sum(dim=1)
            learner.update(errors.mean() + label_margin(targets))

            chosen = pool_batch(task, len(synthetic), config.pool_batch, step)
            with torch.no_grad():
                clips = synthetic.render(chosen, task.rng("render for pool", step))
            pool.train(number, clips, targets.detach()[upload(chosen, targets.device)], step)

    @override
    def before(self) -> Values:
        return {"labels": "regression"} if self.config.learn_labels else {}

    @override
    def extra_bytes(self, work: Workload) -> int:  # learned labels
        return 4 * work.classes * work.ipc * work.classes if self.config.learn_labels else 0

    @override
    def clip_passes(self, work: Workload) -> float:
        # A forward pass of the real clips; of the synthetic ones a forward and a backward pass, then the same to train a network.
        config, stored = self.config, work.classes * work.ipc
        batches = math.ceil(work.train / config.batch_real)
        turns, more = divmod(config.steps, batches)
        real = turns * work.train + more * min(config.batch_real, work.train)
        return float(real + config.steps * 3 * (stored + min(stored, config.pool_batch)))

    @override
    def footprint(self, work: Workload) -> Footprint:  # each network of the pool has two moments
        real, stored = min(self.config.batch_real, work.train), work.classes * work.ipc
        training = min(stored, self.config.pool_batch)
        return Footprint(forward=real, through=stored, training=training, networks=2 + 3 * self.config.pool)

    @override
    def declines(self, work: Workload) -> str | None:  # segments have nothing in common that could be learned
        if work.setting.segments > 1 and self.config.learn_labels:
            return f"{self.name} learns one label a clip, not one a segment; set learn_labels=false"
        return None


def give_regression_labels(synthetic: SyntheticSet, classes: int, device: torch.device) -> None:
    """Turns a set's hard labels into the targets that learning starts from: centred, and smaller where there are more classes."""
    synthetic.labels = upload(centred(synthetic.labels, classes), device) / math.sqrt(classes / 10)
    synthetic.label_loss = "squared"


def real_batch(task: Task, clips: int, size: int, step: int) -> torch.Tensor:
    """Positions of the real clips of a step: all clips in random order, ``size`` at a time, then again in another order.

    Where ``size`` does not divide their number, the last batch of each order is smaller.
    """
    turn, place = divmod(step, math.ceil(clips / size))
    order = torch.randperm(clips, generator=task.rng("real order", turn))
    return order[place * size : (place + 1) * size]


def pool_batch(task: Task, clips: int, size: int, step: int) -> torch.Tensor:
    """Positions of the clips of a set on which a network is trained: all of them, or ``size``, none of them twice."""
    if clips <= size:
        return torch.arange(clips)
    return torch.randperm(clips, generator=task.rng("pool batch", step))[:size]


def centred(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """One-hot targets ``(N, classes)`` less their mean, ``1 / classes``."""
    return torch.nn.functional.one_hot(labels, classes).float() - 1 / classes


def regress(synthetic: torch.Tensor, targets: torch.Tensor, real: torch.Tensor, ridge: float) -> torch.Tensor:
    """Kernel ridge regression (eq. 3): the synthetic targets, predicted at the real clips.

    Args:
        synthetic: features ``(N, F)``.
        targets: ``(N, classes)``.
        real: features ``(B, F)``.
        ridge: as a share of the mean of the synthetic kernel's diagonal.

    Returns:
        ``(B, classes)``.
    """
    within = (synthetic @ synthetic.T).double()  # solved in float64: the ridge is small beside float32's precision
    penalty = ridge * within.trace() / len(within) * torch.eye(len(within), dtype=within.dtype, device=within.device)
    # `solve_ex` does not wait for the device to say that the matrix can be inverted; with the penalty it can.
    weights = torch.linalg.solve_ex(within + penalty, targets.double()).result
    predicted: torch.Tensor = (real @ synthetic.T).double() @ weights
    return predicted.to(synthetic.dtype)


def label_margin(targets: torch.Tensor) -> torch.Tensor:
    """Keeps learned labels apart: minus the mean of (largest - second largest), which is worth at most ``1 / classes``."""
    best = targets.topk(2, dim=1).values
    return -(best[:, 0] - best[:, 1]).clamp(max=1 / targets.shape[1]).mean()


@final
class Pool:
    """Networks of different ages, each trained with Adam on the set as it is; one that is old is replaced by a new one.

    The rate of a network follows its own updates: a warm-up times a cosine, as long as a life. The published warm-up takes five
    lives, so the rate never comes near ``pool_lr``.
    """

    def __init__(self, task: Task, config: FRePoMatching) -> None:
        self._task = task
        self._config = config
        self._networks = [task.network(task.rng("pool network", number)) for number in range(config.pool)]
        self._rates = rising_cosine(config.pool_lr, config.pool_updates, config.pool_warm_up)
        self._descents = [self._descent(number) for number in range(config.pool)]
        self._updates = torch.zeros(config.pool, dtype=torch.int64)
        self._born = torch.zeros(config.pool, dtype=torch.int64)

    def _descent(self, number: int) -> Descent:
        weights = {f"pool.{number}.{name}": value.data for name, value in self._networks[number].named_parameters()}
        return Descent(weights, dict.fromkeys(weights, self._config.pool_lr), "adam")

    def network(self, number: int) -> Classifier:
        """One of them, without dropout, its parameters not tracked."""
        return self._networks[number].eval().requires_grad_(False)

    def train(self, number: int, clips: torch.Tensor, targets: torch.Tensor, step: int) -> None:
        """One update on the set: squared error of the logits."""
        network, descent = self._networks[number].train().requires_grad_(True), self._descents[number]
        use_masks(network, self._task.rng("pool masks", step))
        loss = (network(clips) - targets).square().mean()
        descent.set_rates(dict.fromkeys(descent.tensors, self._rates[int(self._updates[number])]))
        descent.apply(torch.autograd.grad(loss, list(network.parameters())))
        self._updates[number] += 1
        if self._updates[number] >= self._life(number):
            self._replace(number)

    def _life(self, number: int) -> int:
        """Updates until it is replaced. The first networks have shorter lives, each another, so that replacements are spread."""
        whole, of_the_first = self._config.pool_updates, int(self._born[number]) == 0
        return whole - number * (whole // self._config.pool) if of_the_first else whole

    def _replace(self, number: int) -> None:
        self._born[number] += 1
        serial = number + self._config.pool * int(self._born[number])
        new = self._task.network(self._task.rng("pool network", serial))
        for old, fresh in zip(self._networks[number].parameters(), new.parameters(), strict=True):
            old.data.copy_(fresh)
        self._descents[number].reset()
        self._updates[number] = 0

    def state(self) -> dict[str, torch.Tensor]:
        """All that training goes on from, by name."""
        state = {"pool updates": self._updates, "pool births": self._born}
        for descent in self._descents:
            state |= descent.state()
        return state

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Goes back to a `state`."""
        self._updates, self._born = state["pool updates"].cpu(), state["pool births"].cpu()
        for descent in self._descents:
            descent.load(state)
