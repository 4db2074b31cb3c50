"""DC, gradient matching (Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching", ICLR 2021)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import torch
from typing_extensions import override

from bench.api import Count, CountOrZero, Footprint, Momentum, Positive, Preset, Start, SyntheticSet, Task, Workload
from bench.core.source import code_identity
from bench.core.upload import upload
from bench.distill.gradient_blocks import accumulated
from bench.distill.learner import Learner
from bench.distill.matching import Objective, PerStep
from bench.distill.real_start import pixel_bytes
from bench.distill.single_frames import FrameTask
from bench.sets.keyframes import KeyframeSet

from ._presets import main_job, quick

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value

Augment = Callable[["torch.Tensor", "torch.Generator"], "torch.Tensor"]
"""Transforms clips ``(B, C, T, H, W)`` by one draw from the generator, the same for all of them."""


@dataclass(frozen=True)
class DCMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned."""

    steps: Count = 1000  # newly initialised networks (the outermost loop, K)
    outer_loops: Count = 1  # matchings per network (T); 1 for IPC 1 and 5
    inner_loops: CountOrZero = 1  # epochs that the network is trained on the set after each matching but the last
    momentum: Momentum = 0.5  # of SGD on what is learned
    batch_real: Count = 256  # real clips per class and matching
    network_lr: Positive = 0.01  # of the network's training in between


@dataclass(frozen=True)
class DCConfig(DCMatching):
    """Hyper-parameters of DC on pixels; the defaults are the image paper's, there being no released ones for video."""

    lr: Positive = 0.1  # step size on pixels, in network units
    # Whole clips, or single random frames: the set is then one still image a clip.
    match: Literal["clips", "frames"] = "clips"


class GradientMatching(Objective[DCConfig]):
    """DC under a transform of real and synthetic clips."""

    Config = DCConfig
    tuned = ("lr",)
    shares = ("real-gradients",)
    presets = (
        Preset({"outer_loops": 10, "inner_loops": 50}, "Zhao et al., ICLR 2021, appendix: images, IPC 10", ipc=10),
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
        learner = Learner(synthetic, rates, config.momentum)
        untrained = RealGradients(task, config, augment).shared(task)
        for step in learner.steps(task, config.steps, updates=config.outer_loops):
            network = task.network(task.rng("network", step))
            for loop in range(config.outer_loops):
                draw = step * config.outer_loops + loop
                real = untrained(step) if loop == 0 else real_gradients(task, network, config.batch_real, augment, draw)
                losses = matching_losses(task, network, learner, real, augment, draw)
                loss, gradients = accumulated(losses, list(learner.learned.values()))
                learner.apply(gradients, loss=loss / len(task.classes))
                if loop + 1 < config.outer_loops:
                    train_network(task, network, synthetic, config, augment, draw)

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        lr, updates = self.config.lr, self.config.steps * self.config.outer_loops
        if self.config.match == "clips":
            return self.learned_pixels(task, lr, updates)
        images = self.learned_pixels(FrameTask(task, task.ipc), lr, updates)  # (N, 3, 1, H, W): one image a clip
        return KeyframeSet(images.tensors()["clips"], images.labels, task.clip.frames, "nearest")

    @final
    @override
    def start(self) -> Start:
        return Start("start-clips") if self.config.match == "clips" else Start("start-frames", {"per_clip": 1})

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4) // (1 if self.config.match == "clips" else work.clip.frames)

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        # Forward and backward of the real clips, those and their derivative of the synthetic ones.
        config, per_class = self.config, min(self.config.batch_real, work.train // work.classes)
        matchings = config.steps * config.outer_loops
        training = config.steps * (config.outer_loops - 1) * config.inner_loops * 3 * work.ipc
        return float(work.classes * (matchings * (3 * per_class + 9 * work.ipc) + training))

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        # A row of weights for each class, and as many again while they are put together; those of a block of steps on the CPU.
        config, per_class = self.config, min(self.config.batch_real, work.train // work.classes)
        rows = 2 * work.classes
        if isinstance(config, DCConfig) and config.match == "frames":
            return Footprint(frames=max(per_class, 3 * work.ipc), networks=rows)
        block = min(RealGradients.block, config.steps)
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


def unchanged(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """No augmentation."""
    return clips


def matching_losses(
    task: Task, network: Classifier, learner: Learner, real: torch.Tensor, augment: Augment, draw: int
) -> Iterator[torch.Tensor]:
    """The distance of real and synthetic gradients of each class (eq. 9 adds them up), one class's graph at a time.

    Args:
        task, network, learner, augment: see there.
        real: `real_gradients` of the same draw.
        draw: number of the matching.
    """
    rng = task.rng("render", draw)
    shapes = [weight.shape for weight in _weights(network)]
    for label in range(len(task.classes)):
        own = (learner.synthetic.labels == label).nonzero().flatten()
        # The real clips were drawn through the same generator: one transform for both (DSA's "siamese").
        clips = augment(learner.render(own, rng), task.rng(f"augment {label}", draw))
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


def real_gradients(task: Task, network: Classifier, batch_real: int, augment: Augment, draw: int) -> torch.Tensor:
    """Each class's gradient on its real batch, in all weights, flattened: ``(classes, P)``, without graph."""
    rng, rows = task.rng("real", draw), []
    for label in range(len(task.classes)):
        count = min(batch_real, len(task.indices(label)))
        clips = augment(task.real(label, count, rng), task.rng(f"augment {label}", draw))
        rows.append(torch.cat([g.flatten() for g in class_gradient(network, clips, label, create_graph=False)]))
    return torch.stack(rows)


def _weights(network: Classifier) -> list[torch.nn.Parameter]:
    """What gradients are matched in: biases and other 1-D parameters are left out."""
    return [parameter for parameter in network.parameters() if parameter.dim() > 1]


@final
class RealGradients(PerStep):
    """The `real_gradients` of the first matching of each step, ``(classes, P)``: its network is not trained yet."""

    name = "real-gradients"
    block = 10

    def __init__(self, task: Task, config: DCMatching, augment: Augment) -> None:
        super().__init__(task, config.steps, config.batch_real)
        self._outer_loops = config.outer_loops
        self._augment = augment

    @override
    def of_step(self, task: Task, step: int) -> torch.Tensor:
        network = task.network(task.rng("network", step))
        return real_gradients(task, network, self.batch_real, self._augment, step * self._outer_loops).cpu()

    @override
    def step_bytes(self, task: Task) -> int:
        weights = _weights(task.network(task.rng("size")))
        return len(task.classes) * sum(weight.numel() * weight.element_size() for weight in weights)

    @override
    def settings(self) -> Mapping[str, Value]:
        transform = {"augment": self._augment.__name__, **code_identity(self._augment)}
        return {"outer_loops": self._outer_loops, **transform}


def train_network(
    task: Task, network: Classifier, synthetic: SyntheticSet, config: DCMatching, augment: Augment, draw: int
) -> None:
    """Trains the network on the set for ``inner_loops`` epochs, in place."""
    optimiser = torch.optim.SGD(network.parameters(), lr=config.network_lr, momentum=0.5)
    labels = upload(synthetic.labels, task.device)
    order, rendering, transform = (task.rng(f"inner {name}", draw) for name in ("order", "render", "augment"))
    for _ in range(config.inner_loops):
        shuffled = torch.randperm(len(synthetic), generator=order)
        for start in range(0, len(shuffled), 256):
            index = shuffled[start : start + 256]
            with torch.no_grad():
                clips = augment(synthetic.render(index, rendering), transform)
            loss = torch.nn.functional.cross_entropy(network(clips), labels[upload(index, task.device)])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
