"""Static and dynamic memories (Wang et al., "Dancing with still images", CVPR 2024): stage one, and the set that stage two learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, final

import torch
from typing_extensions import override

from bench.api import Artefact, Task, Upstream, Workload
from bench.core.errors import BenchError
from bench.distill.real_start import real_initialisation
from bench.distill.single_frames import FrameTask
from bench.sets.static_dynamic import Mode, StaticDynamicSet
from methods.dc import DC, DCConfig, RealGradients, unchanged

if TYPE_CHECKING:
    from bench.core.config import Value


STATIC_SHARES = ("real-gradients-of-frames", "static-memory")
"""What cells share of stage one."""


@dataclass(frozen=True)
class StaticConfig:
    """Hyper-parameters of stage one: still images learned by DC on single random frames, with the image paper's settings.

    Attributes:
        spc: static memories per class; None takes ``per_clip`` times IPC.
        per_clip: memories of a kind that each synthetic clip owns.
        static_steps, static_lr, static_batch: newly initialised networks, step size and real frames per class of DC.
        static_outer, static_inner: its loops; 10 and 50 for ten images a class.
    """

    spc: int | None = None
    per_clip: int = 2
    static_steps: int = 1000
    static_lr: float = 0.1
    static_batch: int = 256
    static_outer: int = 1
    static_inner: int = 1


@dataclass(frozen=True)
class MemoryConfig(StaticConfig):
    """Hyper-parameters of the memories, whatever objective learns them.

    Attributes:
        dpc: dynamic memories per class; None takes ``per_clip`` times IPC.
        mode: whether the hallucinator reads static and dynamic memory as four channels (``concat``) or their sum (``add``).
        start: the hallucinator's initial weights: ``random`` as published (PyTorch's default), or ``identity``, to which the
            still image is added unchanged.
        lr_dynamic, lr_hallucinator: step sizes of the objective's optimiser.
        lr_static: the same for the static memory; 0 keeps it frozen, as published.
    """

    dpc: int | None = None
    mode: Mode = "concat"
    start: Literal["random", "identity"] = "random"
    lr_dynamic: float = 1e-4
    lr_hallucinator: float = 1e-5
    lr_static: float = 0.0


@final
class StaticMemory(Upstream):
    """``images`` ``(classes * spc, 3, H, W)``, class after class, learned by DC on single random frames.

    Args:
        spc: images of each class.
        dc: of DC.
        real_gradients: those of its real frames: most of the work, and the same for every ``spc``.
    """

    name = "static-memory"
    of_frames = True
    parts = 1

    def __init__(self, spc: int, dc: DCConfig, real_gradients: Artefact) -> None:
        self._spc = spc
        self._dc = dc
        self._real_gradients = real_gradients

    @override
    def key(self) -> Mapping[str, Value]:  # without the real gradients, which follow from it
        return {"spc": self._spc, **asdict(self._dc)}

    @override
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        frames = FrameTask(task, self._spc, self._real_gradients)
        images = real_initialisation(frames)
        DC(self._dc).match(frames, images, {"clips": self._dc.lr})
        counts = torch.bincount(images.labels, minlength=len(task.classes))
        if int(counts.min()) < self._spc:
            short = task.classes[int(counts.argmin())]
            raise BenchError(f"class '{short}' has only {int(counts.min())} frames; spc={self._spc} needs as many")
        return {"images": images.tensors()["clips"].squeeze(2)}


def static_memory(task: Task, config: StaticConfig) -> torch.Tensor:
    """The static memories of each synthetic clip, ``(N, s, 3, H, W)``, N = classes * IPC."""
    spc = images_per_class(config, task.ipc)
    each = per_clip(spc, task.ipc, "spc")
    dc = DCConfig(
        steps=config.static_steps,
        lr=config.static_lr,
        batch_real=config.static_batch,
        outer_loops=config.static_outer,
        inner_loops=config.static_inner,
    )
    frames = FrameTask(task, spc)
    real_gradients = frames.upstream(RealGradients(frames, dc, unchanged))
    images = task.upstream(StaticMemory(spc, dc, real_gradients)).part(0)["images"].to(task.device)
    return images.view(-1, each, *images.shape[1:])


def memory(task: Task, config: MemoryConfig, static: bool = True, hallucinator: bool = True) -> StaticDynamicSet:
    """The set that stage two learns.

    Args:
        task: the task.
        config: see `MemoryConfig`.
        static: False leaves out the static memory: the hallucinator then reads the dynamic one alone.
        hallucinator: False leaves it out: the clip is then the sum of the two memories.
    """
    dpc = motions_per_class(config, task.ipc)
    labels = memory_labels(task)
    _, frames, height, width = task.clip.dims()
    shape = (len(labels), per_clip(dpc, task.ipc, "dpc"), 1, task.setting.n_syn, height, width)
    return StaticDynamicSet(
        labels,
        frames,
        "add" if not hallucinator else config.mode,
        static=static_memory(task, config) if static else None,
        dynamic=torch.randn(shape, generator=task.rng("dynamic memory")).to(task.device),
        hallucinator=new_hallucinator(task, config, static) if hallucinator else None,
        interpolation=task.setting.interpolation,
    )


def memory_labels(task: Task) -> torch.Tensor:
    """``(N,)`` int64: IPC clips of each class, class after class."""
    return torch.arange(len(task.classes)).repeat_interleave(task.ipc)


def new_hallucinator(task: Task, config: MemoryConfig, static: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight ``(3, channels, 3, 3, 3)`` and bias ``(3,)`` of a Conv3d, PyTorch's default, plus the identity if wanted."""
    rng = task.rng("hallucinator")
    channels = hallucinator_channels(config, static)
    bound = 1 / math.sqrt(channels * 27)
    weight = torch.empty(3, channels, 3, 3, 3).uniform_(-bound, bound, generator=rng)
    bias = torch.empty(3).uniform_(-bound, bound, generator=rng)
    if config.start == "identity":
        for colour in range(3):
            weight[colour, min(colour, channels - 1), 1, 1, 1] += 1
    return weight.to(task.device), bias.to(task.device)


def hallucinator_channels(config: MemoryConfig, static: bool) -> int:
    """Channels it reads: three and one side by side, their sum, or the dynamic one alone."""
    if not static:
        return 1
    return 4 if config.mode == "concat" else 3


def memory_rates(learned: StaticDynamicSet, config: MemoryConfig) -> dict[str, float]:
    """The learning rate of each tensor that is learned, by name."""
    rates = {
        "static": config.lr_static,
        "dynamic": config.lr_dynamic,
        "hallucinator.weight": config.lr_hallucinator,
        "hallucinator.bias": config.lr_hallucinator,
    }
    frozen = {"static"} if config.lr_static == 0 else set()
    return {name: rates[name] for name in learned.tensors() if name not in frozen}


def images_per_class(config: StaticConfig, ipc: int) -> int:
    """Static memories of each class."""
    return config.spc if config.spc is not None else config.per_clip * ipc


def motions_per_class(config: MemoryConfig, ipc: int) -> int:
    """Dynamic memories of each class."""
    return config.dpc if config.dpc is not None else config.per_clip * ipc


def per_clip(per_class: int, ipc: int, name: str) -> int:
    """Memories that each of a class's synthetic clips owns.

    Raises:
        BenchError: they cannot be shared out evenly.
    """
    if per_class < 1 or per_class % ipc:
        raise BenchError(f"{name}={per_class} must be a multiple of IPC, {ipc}")
    return per_class // ipc


def declines_memory(work: Workload, name: str) -> str | None:
    """The dynamic memory can have fewer frames than the clip; it is one, from first to last."""
    if work.setting.segments > 1:
        return f"{name} stores one dynamic memory for the whole clip, not one a segment"
    if work.setting.interpolation == "adaptive":
        return f"{name} stores a dynamic memory of a fixed number of frames"
    return None


def memory_bytes(work: Workload, config: MemoryConfig, static: bool = True, hallucinator: bool = True) -> int:
    """Bytes of `memory`, float32."""
    pixels = work.clip.height * work.clip.width
    numbers = work.classes * motions_per_class(config, work.ipc) * work.setting.n_syn * pixels
    numbers += 81 * hallucinator_channels(config, static) + 3 if hallucinator else 0
    return 4 * numbers + (static_bytes(work, config) if static else 0)


def static_bytes(work: Workload, config: StaticConfig) -> int:
    """Bytes of the static memory, float32."""
    return 4 * work.classes * images_per_class(config, work.ipc) * 3 * work.clip.height * work.clip.width


def static_passes(work: Workload, config: StaticConfig) -> float:
    """Clip passes of stage one, a frame counting as 1/T of a clip."""
    spc = images_per_class(config, work.ipc)
    frames = config.static_steps * config.static_outer * work.classes * (3 * config.static_batch + 9 * spc)
    return frames / work.clip.frames
