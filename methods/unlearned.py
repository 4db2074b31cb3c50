"""What learned sets start from, as methods of their own that learn nothing: the controls of learning.

A run adds them beside the methods that start from them (`bench.api.Method.start`). Each makes, from the same seed, the very set
that learning would then change: the same real clips or frames, the same random memories, the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, final

import torch
from typing_extensions import override

from bench.api import Count, Footprint, Method, Positive, SyntheticSet, Task, Workload
from bench.distill.real_start import Initial, pixel_bytes
from bench.distill.segments import learn_in_time
from bench.sets.static_dynamic import Mode, StaticDynamicSet

from ._memory import MemoryConfig, memory, memory_bytes, memory_declines
from ._stage_one import StaticConfig, memory_labels, static_bytes, unlearned_memory
from .frepo import give_regression_labels

C = TypeVar("C")


class Unlearned(Method[C]):
    """A method that takes no pass of a network."""

    in_all = False

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        return 0.0

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        return Footprint(networks=0.0)


@dataclass(frozen=True)
class TrainedOn:
    """How the set is trained on.

    Attributes:
        labels: ``hard``, or the targets from which `frepo` starts, which are stored.
        rate: the learning rate that is stored with the set, as `mtt` starts with one; None leaves it to the protocol.
    """

    labels: Literal["hard", "regression"] = "hard"
    rate: Positive | None = None

    def applied(self, synthetic: SyntheticSet, task: Task) -> SyntheticSet:
        """The set, given these labels and this rate."""
        if self.labels == "regression":
            give_regression_labels(synthetic, len(task.classes), task.device)
        if self.rate is not None:
            synthetic.rate = torch.tensor(self.rate, device=task.device)
        return synthetic

    def extra_bytes(self, work: Workload) -> int:
        """Bytes of the labels and of the rate."""
        labels = 4 * work.classes * work.ipc * work.classes if self.labels == "regression" else 0
        return labels + (0 if self.rate is None else 4)


@dataclass(frozen=True)
class StartClipsConfig(TrainedOn):
    """What clips: random real ones, or noise."""

    start: Initial = "real"


@final
class StartClips(Unlearned[StartClipsConfig]):
    """Random real clips (or noise) as learned pixels store them, before anything is learned."""

    name = "start-clips"
    Config = StartClipsConfig

    @override
    def distill(self, task: Task) -> SyntheticSet:
        unlearned = learn_in_time(task, lambda part, synthetic: None, updates=0, start=self.config.start)
        return self.config.applied(unlearned, task)

    @override
    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4) + self.config.extra_bytes(work)

    @override
    def declines(self, work: Workload) -> str | None:
        if work.setting.interpolation == "adaptive":
            return f"{self.name} learns nothing that could ask for more frames"
        return None


@dataclass(frozen=True)
class StartFramesConfig:
    """How many images: see `methods._stage_one.StaticConfig`; ``start``: real frames, or noise."""

    spc: Count | None = None
    per_clip: Count = 2
    start: Initial = "real"

    def static(self) -> StaticConfig:
        """The same for stage one."""
        return StaticConfig(spc=self.spc, per_clip=self.per_clip)


@final
class StartFrames(Unlearned[StartFramesConfig]):
    """Random real frames (or noise) as still images, before anything is learned."""

    name = "start-frames"
    Config = StartFramesConfig

    @override
    def distill(self, task: Task) -> SyntheticSet:
        images = unlearned_memory(task, self.config.static(), self.config.start)
        return StaticDynamicSet(memory_labels(task), task.clip.frames, static=images)

    @override
    def stored_bytes(self, work: Workload) -> int:
        return static_bytes(work, self.config.static())


@dataclass(frozen=True)
class StartMemoriesConfig(TrainedOn):
    """Which memories: see `methods._memory.MemoryConfig`; ``static`` and ``hallucinator`` say whether there are these."""

    spc: Count | None = None
    dpc: Count | None = None
    per_clip: Count = 2
    mode: Mode = "concat"
    start: Literal["random", "identity"] = "random"
    static: bool = True
    hallucinator: bool = True

    def memories(self) -> MemoryConfig:
        """The same for stage two."""
        return MemoryConfig(spc=self.spc, dpc=self.dpc, per_clip=self.per_clip, mode=self.mode, start=self.start)


@final
class StartMemories(Unlearned[StartMemoriesConfig]):
    """Random real frames, random dynamic memories and a new hallucinator, before anything is learned."""

    name = "start-memories"
    Config = StartMemoriesConfig

    @override
    def distill(self, task: Task) -> SyntheticSet:
        memories = self.config.memories()
        static = unlearned_memory(task, memories) if self.config.static else None
        return self.config.applied(memory(task, memories, static, self.config.hallucinator), task)

    @override
    def stored_bytes(self, work: Workload) -> int:
        config = self.config
        memories = memory_bytes(work, config.memories(), config.static, config.hallucinator)
        return memories + config.extra_bytes(work)

    @override
    def declines(self, work: Workload) -> str | None:
        return memory_declines(self.name, work)
