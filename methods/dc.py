"""DC, gradient matching (Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching", ICLR 2021)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import torch

from bench.api import Artefact, Method, Preset, SyntheticSet, Task, Upstream, Workload
from bench.core.source import code_identity
from bench.distill.gradient_blocks import accumulated
from bench.distill.learner import Learner
from bench.distill.real_start import pixel_bytes
from bench.distill.segments import learn_in_time
from bench.distill.single_frames import FrameTask
from bench.sets.keyframes import KeyframeSet
from methods._presets import main_job, quick

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value

Augment = Callable[["torch.Tensor", "torch.Generator"], "torch.Tensor"]
"""Transforms clips ``(B, C, T, H, W)`` by one draw from the generator, the same for all of them."""


BLOCK = 10
"""Steps whose real gradients lie in one file, and are made by one process."""


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
    shares = ("real-gradients",)
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
        learner = Learner(synthetic, rates, config.momentum)
        match_gradients(part, learner, config, augment, share=config.match == "clips")

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


def match_gradients(task: Task, learner: Learner, config: DCMatching, augment: Augment, share: bool = True) -> None:
    """Algorithm 1 of the paper, on any kind of set.

    Args:
        task, learner, config, augment: see there.
        share: takes the real gradients of new networks, which depend on no set, from where all cells share them.
    """
    total = config.steps * config.outer_loops
    shared = None
    if share:
        shared = task.upstream(RealGradients(config.steps, config.outer_loops, config.batch_real, augment, task))
    for step in range(learner.resume(task), config.steps):
        network = task.network(task.rng("network", step))
        loss = torch.zeros(())
        for loop in range(config.outer_loops):
            draw = step * config.outer_loops + loop
            if loop == 0 and shared is not None:
                real = _row(shared, step).to(task.device)
            else:
                real = real_gradients(task, network, config.batch_real, augment, draw)
            losses = matching_losses(task, network, learner, real, augment, draw)
            loss, gradients = accumulated(losses, list(learner.learned.values()))
            learner.apply(gradients)
            if loop + 1 < config.outer_loops:
                train_network(task, network, learner.synthetic, config, augment, draw)
        done = (step + 1) * config.outer_loops
        task.progress(done, total, loss=loss / len(task.classes))
        task.checkpoint(step + 1, learner.state)


@final
class RealGradients(Upstream):
    """The real gradients of every step's new network, ``gradients`` ``(BLOCK, classes, P)`` a part; see `real_gradients`.

    They depend on the distillation seed and the step alone, hence serve every IPC, temporal setting and kind of set.

    Args:
        steps: newly initialised networks.
        outer_loops: matchings per network, of which this is the first.
        batch_real: real clips per class and matching.
        augment: of the clips; a function of a module, by whose name it is known.
        task: tells how large they are.
    """

    name = "real-gradients"

    def __init__(self, steps: int, outer_loops: int, batch_real: int, augment: Augment, task: Task) -> None:
        self._outer_loops = outer_loops
        self._batch_real = batch_real
        self._augment = augment
        self.parts = -(-steps // BLOCK)
        weights = _weights(task.network(task.rng("size")))
        self.part_bytes = BLOCK * len(task.classes) * sum(w.numel() * w.element_size() for w in weights)

    def key(self) -> Mapping[str, Value]:
        """All but the number of steps: asking for more of them makes only the new ones."""
        loops, batch, transform = self._outer_loops, self._batch_real, self._augment
        return {"outer_loops": loops, "batch_real": batch, "augment": transform.__name__, **code_identity(transform)}

    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """The gradients of one block of steps."""
        found = []
        for step in range(part * BLOCK, (part + 1) * BLOCK):
            network = task.network(task.rng("network", step))
            found.append(real_gradients(task, network, self._batch_real, self._augment, step * self._outer_loops).cpu())
            task.progress(step + 1, self.parts * BLOCK)
        return {"gradients": torch.stack(found)}


def _row(shared: Artefact, step: int) -> torch.Tensor:
    return shared.rows(step // BLOCK, "gradients", slice(step % BLOCK, step % BLOCK + 1))[0]


def _weights(network: Classifier) -> list[torch.nn.Parameter]:
    """What gradients are matched in: biases and other 1-D parameters are left out."""
    return [parameter for parameter in network.parameters() if parameter.dim() > 1]


def real_gradients(task: Task, network: Classifier, batch_real: int, augment: Augment, draw: int) -> torch.Tensor:
    """Each class's gradient on its real batch, in all weights, flattened: ``(classes, P)``, without graph."""
    rng, rows = task.rng("real", draw), []
    for label in range(len(task.classes)):
        count = min(batch_real, len(task.indices(label)))
        real = augment(task.real(label, count, rng), task.rng(f"augment {label}", draw))
        rows.append(torch.cat([g.flatten() for g in class_gradient(network, real, label, create_graph=False)]))
    return torch.stack(rows)


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
        fake = augment(learner.render(own, rng), task.rng(f"augment {label}", draw))
        parts = torch.split_with_sizes(real[label], [shape.numel() for shape in shapes])
        target = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        yield gradient_distance(target, class_gradient(network, fake, label, create_graph=True))


def class_gradient(
    network: Classifier, clips: torch.Tensor, label: int, create_graph: bool
) -> tuple[torch.Tensor, ...]:
    """The gradient of the mean cross-entropy of clips of one class in each of the network's weights."""
    labels = torch.full((len(clips),), label, device=clips.device)
    loss = torch.nn.functional.cross_entropy(network(clips), labels)
    return torch.autograd.grad(loss, _weights(network), create_graph=create_graph)


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
