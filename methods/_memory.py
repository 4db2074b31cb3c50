"""Stage two of static + dynamic memories (Wang et al., "Dancing with still images", CVPR 2024), with any matching objective."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast, final

import torch
from typing_extensions import override

from bench.api import Count, Footprint, Method, PositiveOrZero, Preset, Start, SyntheticSet, Task, Workload
from bench.core.upload import upload
from bench.distill.matching import Objective
from bench.sets.static_dynamic import Mode, StaticDynamicSet

from ._stage_one import (
    STATIC_SHARES,
    StaticConfig,
    memory_labels,
    per_clip,
    static_bytes,
    static_frames,
    static_memory,
    static_passes,
)

PAPER = "Wang et al., CVPR 2024"


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

    dpc: Count | None = None
    mode: Mode = "concat"
    start: Literal["random", "identity"] = "random"
    lr_dynamic: PositiveOrZero = 1e-4
    lr_hallucinator: PositiveOrZero = 1e-5
    lr_static: PositiveOrZero = 0.0

    def motions(self, ipc: int) -> int:
        """Dynamic memories of each class."""
        return self.dpc if self.dpc is not None else self.per_clip * ipc


class WithMemories(Method[MemoryConfig]):
    """Stage one, then stage two by a matching objective; see `with_memories`."""

    paper = PAPER
    tuned = ("lr_dynamic",)
    static: ClassVar[bool]
    hallucinator: ClassVar[bool]

    @staticmethod
    @abstractmethod
    def objective(config: Any) -> Objective[Any]:
        """The objective; of ``config`` it reads the matching's own hyper-parameters."""

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        static = static_memory(task, self.config) if self.static else None
        learned = memory(task, self.config, static, self.hallucinator)
        self.objective(self.config).match(task, learned, memory_rates(learned, self.config))
        return learned

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        memories = memory_bytes(work, self.config, self.static, self.hallucinator)
        return memories + self.objective(self.config).extra_bytes(work)

    @final
    @override
    def start(self) -> Start:
        config = self.config
        kept = {name: getattr(config, name) for name in ("spc", "dpc", "per_clip", "mode", "start")}
        parts = {"static": self.static, "hallucinator": self.hallucinator}
        return Start("start-memories", {**kept, **parts, **self.objective(config).before()})

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        stage_one = static_passes(work, self.config) if self.static else 0.0
        return stage_one + self.objective(self.config).clip_passes(work)

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        return replace(
            self.objective(self.config).footprint(work),
            frames=static_frames(work, self.config) if self.static else 0.0,
        )

    @final
    @override
    def declines(self, work: Workload) -> str | None:
        return memory_declines(self.name, work)


def with_memories(
    objective: type[Objective[Any]],
    config: type[MemoryConfig],
    summary: str,
    presets: tuple[Preset, ...],
    kind: str = "sd",
    static: bool = True,
    hallucinator: bool = True,
    version: int = 1,
) -> type[WithMemories]:
    """The method that learns memories by an objective: a final class, and one of the module that defines its config.

    Args:
        objective: what stage two descends.
        config: hyper-parameters of the memories, and of the objective's matching.
        summary: the method's docstring.
        presets: see `Method`.
        kind: ``sd``, or which ablation it is; the method is called ``<objective>+<kind>``.
        static, hallucinator: whether it has these; see `memory`.
        version: see `Method`.
    """
    described = {
        "__doc__": summary,
        "__module__": config.__module__,
        "name": f"{objective.name}+{kind}",
        "Config": config,
        "shares": (*objective.shares, *(STATIC_SHARES if static else ())),
        "presets": presets,
        "in_all": kind == "sd",
        "objective": objective,
        "static": static,
        "hallucinator": hallucinator,
        "version": version,
    }
    suffix = "SD" if kind == "sd" else kind.title().replace("-", "")
    return cast("type[WithMemories]", final(type(objective.__name__ + suffix, (WithMemories,), described)))


def memory(
    task: Task, config: MemoryConfig, static: torch.Tensor | None, hallucinator: bool = True
) -> StaticDynamicSet:
    """The set that stage two learns.

    Args:
        task: the task.
        config: see `MemoryConfig`.
        static: the static memory of each clip ``(N, s, 3, H, W)``; None leaves it out: the hallucinator then reads the
            dynamic memory alone.
        hallucinator: False leaves it out: the clip is then the sum of the two memories.
    """
    labels = memory_labels(task)
    _, frames, height, width = task.clip.dims()
    shape = (len(labels), per_clip(config.motions(task.ipc), task.ipc, "dpc"), 1, task.setting.n_syn, height, width)
    return StaticDynamicSet(
        labels,
        frames,
        "add" if not hallucinator else config.mode,
        static=static,
        dynamic=upload(torch.randn(shape, generator=task.rng("dynamic memory")), task.device),
        hallucinator=new_hallucinator(task, config, static is not None) if hallucinator else None,
        interpolation=task.setting.interpolation,
    )


def memory_bytes(work: Workload, config: MemoryConfig, static: bool, hallucinator: bool) -> int:
    """Bytes of both memories and the hallucinator, float32."""
    numbers = work.classes * config.motions(work.ipc) * work.setting.n_syn * work.clip.height * work.clip.width
    if hallucinator:
        numbers += 81 * hallucinator_channels(config, static) + 3
    return 4 * numbers + (static_bytes(work, config) if static else 0)


def memory_declines(name: str, work: Workload) -> str | None:
    """Why memories cannot be stored in a temporal setting, or None if they can."""
    if work.setting.segments > 1:
        return f"{name} stores one dynamic memory for the whole clip, not one a segment"
    if work.setting.interpolation == "adaptive":
        return f"{name} stores a dynamic memory of a fixed number of frames"
    return None


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
    return upload(weight, task.device), upload(bias, task.device)


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
