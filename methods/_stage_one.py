"""Stage one of static + dynamic memories (Wang et al., "Dancing with still images", CVPR 2024): still images, learned by DC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Artefact, Count, CountOrZero, Positive, SyntheticSet, Task, Upstream, Workload
from bench.core.errors import BenchError
from bench.core.upload import upload
from bench.distill.real_start import Initial, initialisation, real_initialisation
from bench.distill.single_frames import FrameTask

from .dc import DC, DCConfig, RealGradients, unchanged

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
        static_steps, static_lr, static_batch: updates, step size and real frames per class of DC.
        static_outer, static_inner: its loops; None for those that are published for so many images per class.
    """

    spc: Count | None = None
    per_clip: Count = 2
    static_steps: Count | None = None
    static_lr: Positive = 0.1
    static_batch: Count = 256
    static_outer: Count | None = None
    static_inner: CountOrZero | None = None

    def images(self, ipc: int) -> int:
        """Static memories of each class."""
        return self.spc if self.spc is not None else self.per_clip * ipc

    def dc(self) -> DCConfig:
        """The same as hyper-parameters of DC."""
        return DCConfig(
            steps=self.static_steps,
            lr=self.static_lr,
            batch_real=self.static_batch,
            outer_loops=self.static_outer,
            inner_loops=self.static_inner,
        )


@final
class StaticMemory(Upstream):
    """``images`` ``(classes * spc, 3, H, W)``, class after class, learned by DC on single random frames.

    Args:
        spc: images of each class.
        dc: hyper-parameters of DC.
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
        return {"images": _images(images, task, self._spc)}


def unlearned_memory(task: Task, config: StaticConfig, start: Initial = "real") -> torch.Tensor:
    """The random real frames that `static_memory` starts from, or noise, in the same shape."""
    spc = config.images(task.ipc)
    images = _images(initialisation(FrameTask(task, spc), start), task, spc)
    return images.view(-1, per_clip(spc, task.ipc, "spc"), *images.shape[1:])


def _images(frames: SyntheticSet, task: Task, spc: int) -> torch.Tensor:
    """Single frames ``(classes * spc, 3, 1, H, W)`` as images ``(classes * spc, 3, H, W)``.

    Raises:
        BenchError: a class has too few.
    """
    counts = torch.bincount(frames.labels, minlength=len(task.classes))
    if int(counts.min()) < spc:
        short = task.classes[int(counts.argmin())]
        raise BenchError(f"class '{short}' has only {int(counts.min())} frames; spc={spc} needs as many")
    return frames.tensors()["clips"].squeeze(2)


def static_memory(task: Task, config: StaticConfig) -> torch.Tensor:
    """The static memories of each synthetic clip, ``(N, s, 3, H, W)``, N = classes * IPC."""
    spc = config.images(task.ipc)
    each = per_clip(spc, task.ipc, "spc")
    dc = config.dc()
    frames = FrameTask(task, spc)
    real_gradients = frames.upstream(RealGradients(frames, dc.loops(spc).networks, dc.batch_real, unchanged))
    images = upload(task.upstream(StaticMemory(spc, dc, real_gradients)).part(0)["images"], task.device)
    return images.view(-1, each, *images.shape[1:])


def memory_labels(task: Task) -> torch.Tensor:
    """``(N,)`` int64: IPC clips of each class, class after class."""
    return torch.arange(len(task.classes)).repeat_interleave(task.ipc)


def per_clip(per_class: int, ipc: int, name: str) -> int:
    """Memories that each of a class's synthetic clips owns.

    Raises:
        BenchError: they cannot be shared out evenly.
    """
    if per_class < 1 or per_class % ipc:
        raise BenchError(f"{name}={per_class} must be a multiple of IPC, {ipc}")
    return per_class // ipc


def static_bytes(work: Workload, config: StaticConfig) -> int:
    """Bytes of the static memory, float32."""
    return 4 * work.classes * config.images(work.ipc) * 3 * work.clip.height * work.clip.width


def static_frames(work: Workload, config: StaticConfig) -> float:
    """Frames in a pass of stage one: real ones, or its images, whose gradient is differentiated again."""
    return float(
        max(min(config.static_batch, work.train // work.classes * work.clip.frames), 3 * config.images(work.ipc))
    )


def static_passes(work: Workload, config: StaticConfig) -> float:
    """Clip passes of stage one, a frame counting as 1/T of a clip."""
    spc = config.images(work.ipc)
    counts = config.dc().loops(spc)
    training = counts.networks * (counts.outer - 1) * counts.inner * 3 * spc
    return work.classes * (counts.updates() * (3 * config.static_batch + 9 * spc) + training) / work.clip.frames
