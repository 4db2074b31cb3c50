"""DC, gradient matching (Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching", ICLR 2021)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, final

import torch
from typing_extensions import override

from bench.api import Count, CountOrZero, Footprint, Momentum, Positive, Start, SyntheticSet, Task, Workload
from bench.core.source import code_identity
from bench.core.upload import upload
from bench.distill.gradient_blocks import accumulated
from bench.distill.learner import Learner
from bench.distill.matching import Objective, PerStep
from bench.distill.real_start import Initial, pixel_bytes
from bench.distill.single_frames import FrameTask
from bench.sets.keyframes import KeyframeSet

from ._loops import Loops, loops
from ._presets import main_job, quick

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value


class Augment(Protocol):
    """A transform of clips ``(B, C, T, H, W)``: one draw from the generator for all of them, or one for ``each``."""

    __name__: str

    def __call__(self, clips: torch.Tensor, rng: torch.Generator, each: bool = False) -> torch.Tensor: ...  # noqa: D102


@dataclass(frozen=True)
class DCMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned."""

    steps: Count | None = None  # updates of the set, spent in whole networks; None: those of 1,000 networks
    outer_loops: Count | None = None  # matchings per network (T); None: as published for so many clips per class
    inner_loops: CountOrZero | None = (
        None  # epochs of training the network after each matching but its last; None: the same
    )
    momentum: Momentum = 0.5  # of SGD on what is learned
    batch_real: Count = 256  # real clips per class and matching
    network_lr: Positive = 0.01  # of the network's training in between, by SGD without momentum

    def loops(self, per_class: int) -> Loops:
        """How the updates are spent on so many clips per class."""
        return loops(per_class, self.steps, self.outer_loops, self.inner_loops)


@dataclass(frozen=True)
class DCConfig(DCMatching):
    """Hyper-parameters of DC on pixels; the defaults are the image paper's, there being no released ones for video."""

    lr: Positive = 0.1  # step size on pixels, in network units
    # Whole clips, or single random frames: the set is then one still image a clip.
    match: Literal["clips", "frames"] = "clips"
    start: Initial = "real"  # what the pixels start from; the authors' code has noise unless told otherwise


class GradientMatching(Objective[DCConfig]):
    """DC under a transform of real and synthetic clips."""

    Config = DCConfig
    tuned = ("lr",)
    shares = ("real-gradients",)
    presets = (
        quick({"steps": 250, "lr": 0.2, "batch_real": 16}),
        main_job({"steps": 20}),
    )

    @abstractmethod
    def augment(self) -> Augment:
        """The transform: a function of a module, by whose name it is known."""

    @final
    @override
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:  # Algorithm 1
        config, augment = self.config, self.augment()
        counts = config.loops(len(synthetic) // len(task.classes))
        learner = Learner(synthetic, rates, config.momentum)
        untrained = RealGradients(task, counts.networks, config.batch_real, augment).shared(task)
        for step in learner.steps(task, counts.networks, updates=counts.outer):
            network = task.network(task.rng("network", step))
            for loop in range(counts.outer):
                draws = Draws(task, step, loop)
                real = (
                    untrained(step) if loop == 0 else real_gradients(task, network, config.batch_real, augment, draws)
                )
                losses = matching_losses(task, network, learner, real, augment, draws)
                loss, gradients = accumulated(losses, list(learner.learned.values()))
                learner.apply(gradients, loss=loss / len(task.classes))
                if loop + 1 < counts.outer:
                    train_network(task, network, synthetic, counts.inner, config.network_lr, augment, draws)

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        lr, updates = self.config.lr, self.config.loops(task.ipc).updates()
        if self.config.match == "clips":
            return self.learned_pixels(task, lr, updates, self.config.start)
        frames = FrameTask(task, task.ipc)
        images = self.learned_pixels(frames, lr, updates, self.config.start)  # (N, 3, 1, H, W): one image a clip
        return KeyframeSet(images.tensors()["clips"], images.labels, task.clip.frames, "nearest")

    @final
    @override
    def start(self) -> Start:
        start = {} if self.config.start == "real" else {"start": self.config.start}
        if self.config.match == "clips":
            return Start("start-clips", start)
        return Start("start-frames", {"per_clip": 1, **start})

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4) // (1 if self.config.match == "clips" else work.clip.frames)

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        # Forward and backward of the real clips, those and their derivative of the synthetic ones.
        config, per_class = self.config, min(self.config.batch_real, work.train // work.classes)
        counts = config.loops(work.ipc)
        training = counts.networks * (counts.outer - 1) * counts.inner * 3 * work.ipc
        return float(work.classes * (counts.updates() * (3 * per_class + 9 * work.ipc) + training))

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        # A row of weights for each class, and as many again while they are put together; those of a block of steps on the CPU.
        config, per_class = self.config, min(self.config.batch_real, work.train // work.classes)
        rows = 2 * work.classes
        if isinstance(config, DCConfig) and config.match == "frames":
            return Footprint(frames=max(per_class, 3 * work.ipc), networks=rows)
        block = min(RealGradients.most, config.loops(work.ipc).networks)
        return Footprint(training=per_class, double=work.ipc, networks=3 + rows, host_networks=block * rows)

    @final
    @override
    def declines(self, work: Workload) -> str | None:
        if self.config.match == "clips" or work.setting.is_dense(work.clip.frames):
            return None
        return f"{self.name}.match=frames stores one image a clip; it stands in the setting dense"


@final
class DC(GradientMatching):
    """Synthetic clips on which a network's loss has the gradient that it has on real ones."""

    name = "dc"
    paper = "Zhao, Mopuri & Bilen, ICLR 2021"

    @override
    def augment(self) -> Augment:
        return unchanged


def unchanged(clips: torch.Tensor, rng: torch.Generator, each: bool = False) -> torch.Tensor:
    """No augmentation."""
    return clips


@dataclass(frozen=True)
class Draws:
    """The generators of one matching. Those of a network's first matching do not depend on how many follow.

    Attributes:
        task: see there.
        step: number of the network.
        loop: number of the matching in it.
    """

    task: Task
    step: int
    loop: int = 0

    def rng(self, name: str) -> torch.Generator:
        """The generator of what is called so."""
        return self.task.rng(f"{name}, matching {self.loop}" if self.loop else name, self.step)


def matching_losses(
    task: Task, network: Classifier, learner: Learner, real: torch.Tensor, augment: Augment, draws: Draws
) -> Iterator[torch.Tensor]:
    """The distance of real and synthetic gradients of each class (eq. 9 adds them up), one class's graph at a time.

    Args:
        task, network, learner, augment, draws: see there.
        real: `real_gradients` of the same draws.
    """
    rng = draws.rng("render")
    shapes = [weight.shape for weight in _weights(network)]
    for label in range(len(task.classes)):
        own = (learner.synthetic.labels == label).nonzero().flatten()
        # The real clips were drawn through the same generator: one transform for both (DSA's "siamese").
        clips = augment(learner.render(own, rng), draws.rng(f"augment {label}"))
        rows = torch.split_with_sizes(real[label], [shape.numel() for shape in shapes])
        target = [row.view(shape) for row, shape in zip(rows, shapes, strict=True)]
        yield gradient_distance(target, class_gradient(network, clips, label, create_graph=True))


def gradient_distance(real: Sequence[torch.Tensor], synthetic: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum over layers and output units of ``1 - cosine`` (eq. 10).

    Args:
        real, synthetic: one gradient per weight, flattened to ``(out, rest)``.
    """
    total = torch.zeros((), device=synthetic[0].device, dtype=synthetic[0].dtype)
    for a, b in zip(real, synthetic, strict=True):
        a, b = a.flatten(1), b.flatten(1)
        # 1e-6 beside the norms, as in the authors' code: a unit without gradient then counts 1.
        cosine = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
        total = total + (1 - cosine).sum()
    return total


def class_gradient(
    network: Classifier, clips: torch.Tensor, label: int, create_graph: bool
) -> tuple[torch.Tensor, ...]:
    """The gradient of the mean cross-entropy of clips of one class in each of the network's weights."""
    labels = torch.full((len(clips),), label, device=clips.device)
    loss = torch.nn.functional.cross_entropy(network(clips), labels)
    return torch.autograd.grad(loss, _weights(network), create_graph=create_graph)


def real_gradients(task: Task, network: Classifier, batch_real: int, augment: Augment, draws: Draws) -> torch.Tensor:
    """Each class's gradient on its real batch, in all weights, flattened: ``(classes, P)``, without graph."""
    rng, rows = draws.rng("real"), []
    for label in range(len(task.classes)):
        count = min(batch_real, len(task.indices(label)))
        clips = augment(task.real(label, count, rng), draws.rng(f"augment {label}"))
        rows.append(torch.cat([g.flatten() for g in class_gradient(network, clips, label, create_graph=False)]))
    return torch.stack(rows)


def _weights(network: Classifier) -> list[torch.nn.Parameter]:
    """What gradients are matched in: biases and other 1-D parameters are left out."""
    return [parameter for parameter in network.parameters() if parameter.dim() > 1]


@final
class RealGradients(PerStep):
    """The `real_gradients` of the first matching of each step, ``(classes, P)``: its network is not trained yet."""

    name = "real-gradients"
    most = 10

    def __init__(self, task: Task, networks: int, batch_real: int, augment: Augment) -> None:
        super().__init__(task, networks, batch_real)
        self._augment = augment

    @override
    def of_step(self, task: Task, step: int) -> torch.Tensor:
        network = task.network(task.rng("network", step))
        return real_gradients(task, network, self.batch_real, self._augment, Draws(task, step)).cpu()

    @override
    def step_bytes(self, task: Task) -> int:
        weights = _weights(task.network(task.rng("size")))
        return len(task.classes) * sum(weight.numel() * weight.element_size() for weight in weights)

    @override
    def settings(self) -> Mapping[str, Value]:
        return {"augment": self._augment.__name__, **code_identity(self._augment)}


def train_network(
    task: Task,
    network: Classifier,
    synthetic: SyntheticSet,
    epochs: int,
    lr: float,
    augment: Augment,
    draws: Draws,
) -> None:
    """Trains the network on the set, in place. As in the authors' code, SGD has no momentum and each clip its own transform."""
    optimiser = torch.optim.SGD(network.parameters(), lr=lr)
    labels = upload(synthetic.labels, task.device)
    order, rendering, transform = (draws.rng(f"inner {name}") for name in ("order", "render", "augment"))
    for _ in range(epochs):
        shuffled = torch.randperm(len(synthetic), generator=order)
        for start in range(0, len(shuffled), 256):
            index = shuffled[start : start + 256]
            with torch.no_grad():
                clips = augment(synthetic.render(index, rendering), transform, each=True)
            loss = torch.nn.functional.cross_entropy(network(clips), labels[upload(index, task.device)])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
