"""DC, gradient matching (Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching", ICLR 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import torch

from bench.api import Method, Preset, SyntheticSet, Task, Workload
from bench.frames import FrameTask
from bench.segments import learn_in_time
from bench.synthetic.choose import pixel_bytes
from bench.synthetic.keyframes import KeyframeSet
from bench.synthetic.learner import Learner
from methods._presets import main_job, quick

if TYPE_CHECKING:
    from bench.nets.classifier import Classifier

Augment = Callable[["torch.Tensor", "torch.Generator"], "torch.Tensor"]
"""Transforms clips ``(B, C, T, H, W)`` by one draw from the generator, the same for all of them."""


@dataclass(frozen=True)
class DCMatching:
    """Hyper-parameters of the matching, whatever kind of set is learned.

    Attributes:
        steps: newly initialised networks (the outermost loop, K).
        outer_loops: matchings per network (T); 1 for IPC 1 and 5.
        inner_loops: epochs that the network is trained on the set after each matching but the last.
        momentum: of SGD on what is learned.
        batch_real: real clips per class and matching.
        network_lr: of the network's training in between.
    """

    steps: int = 1000
    outer_loops: int = 1
    inner_loops: int = 1
    momentum: float = 0.5
    batch_real: int = 256
    network_lr: float = 0.01


@dataclass(frozen=True)
class DCConfig(DCMatching):
    """Hyper-parameters of DC on clips or frames; the defaults are the image paper's, there being no released ones for video.

    Attributes:
        lr: step size on pixels (network units).
        match: whole ``clips``, or single random ``frames``: the set is then IPC still images a class.
    """

    lr: float = 0.1
    match: Literal["clips", "frames"] = "clips"


PRESETS = (
    Preset({"outer_loops": 10, "inner_loops": 50}, source="Zhao et al., ICLR 2021, appendix: images, IPC 10", ipc=10),
    quick({"steps": 250, "lr": 0.2, "batch_real": 16}),
    main_job({"steps": 20}),
)


@final
class DC(Method[DCConfig]):
    """Synthetic clips on which a network's loss has the gradient that it has on real ones."""

    name = "dc"
    Config = DCConfig
    paper = "Zhao, Mopuri & Bilen, ICLR 2021"
    tuned = ("lr",)
    presets = PRESETS

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_pixels(task, self.config, unchanged)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return clip_or_image_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return gradient_passes(work, self.config)

    def declines(self, work: Workload) -> str | None:
        """See `Method`."""
        return declines_images(work, self.config, self.name)


def unchanged(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """No augmentation."""
    return clips


def learn_pixels(task: Task, config: DCConfig, augment: Augment) -> SyntheticSet:
    """Clips in the task's temporal setting, or still images, learned from real ones."""

    def learn(part: Task, synthetic: SyntheticSet) -> None:
        rates = dict.fromkeys(synthetic.tensors(), config.lr)
        match_gradients(part, Learner(synthetic, rates, config.momentum), config, augment)

    updates = config.steps * config.outer_loops
    if config.match == "clips":
        return learn_in_time(task, learn, updates)
    images = learn_in_time(FrameTask(task, task.ipc), learn, updates)  # (N, 3, 1, H, W): one image a clip
    return KeyframeSet(images.tensors()["clips"], images.labels, task.clip.frames, "nearest")


def declines_images(work: Workload, config: DCConfig, name: str) -> str | None:
    """Still images are a temporal setting of their own."""
    if config.match == "clips" or work.setting.is_dense(work.clip.frames):
        return None
    return f"{name}.match=frames stores one image a clip; it stands in the setting dense"


def match_gradients(task: Task, learner: Learner, config: DCMatching, augment: Augment) -> None:
    """Algorithm 1 of the paper, on any kind of set."""
    total = config.steps * config.outer_loops
    for step in range(learner.resume(task), config.steps):
        network = task.network(task.rng("network", step))
        loss = torch.zeros(())
        for loop in range(config.outer_loops):
            draw = step * config.outer_loops + loop
            loss = matching_loss(task, network, learner, config.batch_real, augment, draw)
            learner.update(loss)
            if loop + 1 < config.outer_loops:
                train_network(task, network, learner.synthetic, config, augment, draw)
        done = (step + 1) * config.outer_loops
        task.progress(done, total, loss=float(loss.detach()) / len(task.classes))
        task.checkpoint(step + 1, learner.state)


def matching_loss(
    task: Task, network: Classifier, learner: Learner, batch_real: int, augment: Augment, draw: int
) -> torch.Tensor:
    """The distance of real and synthetic gradients, summed over classes (eq. 9)."""
    rng_real, rng_render = task.rng("real", draw), task.rng("render", draw)
    loss = torch.zeros((), device=task.device)
    for label in range(len(task.classes)):
        own = (learner.synthetic.labels == label).nonzero().flatten()
        count = min(batch_real, len(task.indices(label)))
        # Both draws start from the same generator: one transform, shared by real and synthetic clips (DSA's "siamese").
        real = augment(task.real(label, count, rng_real), task.rng(f"augment {label}", draw))
        fake = augment(learner.render(own, rng_render), task.rng(f"augment {label}", draw))
        target = [gradient.detach() for gradient in class_gradient(network, real, label, create_graph=False)]
        loss = loss + gradient_distance(target, class_gradient(network, fake, label, create_graph=True))
    return loss


def class_gradient(
    network: Classifier, clips: torch.Tensor, label: int, create_graph: bool
) -> tuple[torch.Tensor, ...]:
    """The gradient of the mean cross-entropy of clips of one class in the network's parameters."""
    labels = torch.full((len(clips),), label, device=clips.device)
    loss = torch.nn.functional.cross_entropy(network(clips), labels)
    return torch.autograd.grad(loss, list(network.parameters()), create_graph=create_graph)


def gradient_distance(real: Sequence[torch.Tensor], synthetic: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum over layers and output units of ``1 - cosine`` (eq. 10); biases and other 1-D tensors are left out.

    Args:
        real, synthetic: one gradient per parameter; those of weights are flattened to ``(out, rest)``.
    """
    total = torch.zeros((), device=synthetic[0].device, dtype=synthetic[0].dtype)
    for a, b in zip(real, synthetic, strict=True):
        if a.dim() > 1:
            a, b = a.flatten(1), b.flatten(1)
            # 1e-6 beside the norms, as in the authors' code: a unit without gradient then counts 1.
            cosine = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
            total = total + (1 - cosine).sum()
    return total


def train_network(
    task: Task, network: Classifier, synthetic: SyntheticSet, config: DCMatching, augment: Augment, draw: int
) -> None:
    """Trains the network on the set for ``inner_loops`` epochs, in place."""
    optimiser = torch.optim.SGD(network.parameters(), lr=config.network_lr, momentum=0.5)
    labels = synthetic.labels.to(task.device)
    order, rendering, transform = (task.rng(f"inner {name}", draw) for name in ("order", "render", "augment"))
    for _ in range(config.inner_loops):
        shuffled = torch.randperm(len(synthetic), generator=order)
        for start in range(0, len(shuffled), 256):
            index = shuffled[start : start + 256]
            with torch.no_grad():
                clips = augment(synthetic.render(index, rendering), transform)
            loss = torch.nn.functional.cross_entropy(network(clips), labels[index.to(task.device)])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()


def gradient_passes(work: Workload, config: DCMatching) -> float:
    """Clip passes: forward and backward of the real clips, those and their derivative of the synthetic ones."""
    matchings = config.steps * config.outer_loops
    training = config.steps * (config.outer_loops - 1) * config.inner_loops * 3 * work.ipc
    per_class = min(config.batch_real, work.train // work.classes)
    return float(work.classes * (matchings * (3 * per_class + 9 * work.ipc) + training))


def clip_or_image_bytes(work: Workload, config: DCConfig) -> int:
    """Bytes of the stored frames, or of one image a clip."""
    return pixel_bytes(work, 4) // (1 if config.match == "clips" else work.clip.frames)
