"""The static + dynamic memory method (Wang et al., "Dancing with still images: video distillation via static-dynamic
disentanglement", CVPR 2024) with each matching objective, and its ablations.

Stage one learns still images (`methods._stage_one`), which are then frozen. Stage two learns a dynamic memory and a shared
hallucinator by any objective (`methods._memory`), through the same `match` that learns whole clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from typing_extensions import override

from bench.api import Count, Footprint, Method, Momentum, PositiveOrZero, Start, SyntheticSet, Task, Workload
from bench.sets.static_dynamic import StaticDynamicSet

from . import frepo, mtt
from ._memory import PAPER, MemoryConfig, with_memories
from ._presets import Values, example, main_job, quick, released
from ._stage_one import (
    STATIC_SHARES,
    StaticConfig,
    memory_labels,
    static_bytes,
    static_frames,
    static_memory,
    static_passes,
)
from .dc import DC, DCMatching
from .dm import DM, DMMatching
from .frepo import FRePo, FRePoMatching
from .mtt import MTT, MTTMatching

STATIC_QUICK: Values = {"static_steps": 40, "static_batch": 32}
STATIC_MAIN_JOB: Values = {"static_steps": 20}
SD_QUICK: Values = {"start": "identity", **STATIC_QUICK}
MTT_RATES: Values = {"lr_dynamic": 1e4, "lr_hallucinator": 1e-3}


@dataclass(frozen=True)
class DMSDConfig(DMMatching, MemoryConfig):
    """Hyper-parameters of the memories and of DM."""

    momentum: Momentum = 0.95


DMSD = with_memories(
    DM,
    DMSDConfig,
    "Static memory, then dynamic memory and hallucinator learned by distribution matching.",
    (
        released({"steps": 5000, "batch_real": 64}),
        example({"lr_dynamic": 1e-4, "lr_hallucinator": 1e-5}, "miniucf", ipc=1),
        example({"lr_dynamic": 1e3, "lr_hallucinator": 1e-6}, "miniucf", ipc=5),
        quick({"steps": 300, "batch_real": 32, "lr_dynamic": 1.0, **SD_QUICK}),
        main_job({"steps": 100, **STATIC_MAIN_JOB}),
    ),
)


@dataclass(frozen=True)
class DCSDConfig(DCMatching, MemoryConfig):
    """Hyper-parameters of the memories and of DC."""

    momentum: Momentum = 0.95
    lr_dynamic: PositiveOrZero = 1.0
    lr_hallucinator: PositiveOrZero = 1e-3


DCSD = with_memories(
    DC,
    DCSDConfig,
    "Static memory, then dynamic memory and hallucinator learned by gradient matching.",
    (
        quick({"steps": 40, "batch_real": 16, "lr_dynamic": 10.0, **SD_QUICK}),
        main_job({"steps": 20, **STATIC_MAIN_JOB}),
    ),
)


@dataclass(frozen=True)
class MTTSDConfig(MTTMatching, MemoryConfig):
    """Hyper-parameters of the memories and of MTT."""

    steps: Count = 10000
    momentum: Momentum = 0.95
    lr_dynamic: PositiveOrZero = 1e4
    lr_hallucinator: PositiveOrZero = 1e-3


MTTSD = with_memories(
    MTT,
    MTTSDConfig,
    "Static memory, then dynamic memory and hallucinator learned by trajectory matching.",
    (
        released({"steps": 10000, "max_start_epoch": 10, "experts": 30}, note=mtt.UNREAD),
        released(
            {**MTT_RATES, "syn_steps": 5, "batch_syn": 128, "learn_rate": False},
            ipc=5,
            note="its script does not ask for a learned rate here",
            lends=True,
        ),
        released(
            {"batch_syn": 256, "learn_rate": False},
            dataset="kinetics400",
            ipc=1,
            note="its script does not ask for a learned rate, and takes step sizes from the command line",
        ),
        example(MTT_RATES, "miniucf", ipc=1),
        quick({**mtt.QUICK, "lr_dynamic": 1e3, "lr_hallucinator": 0.1, **SD_QUICK}),
        main_job({**mtt.MAIN_JOB, **STATIC_MAIN_JOB}),
    ),
)


@dataclass(frozen=True)
class FRePoSDConfig(FRePoMatching, MemoryConfig):
    """Hyper-parameters of the memories and of FRePo. The scripts name no ``lr_dynamic``; docs/methods.md says how it was chosen."""

    per_clip: Count = 1
    lr_dynamic: PositiveOrZero = 0.03
    lr_hallucinator: PositiveOrZero = 1e-3


FRePoSD = with_memories(
    FRePo,
    FRePoSDConfig,
    "Static memory, then dynamic memory, hallucinator and labels learned by neural feature regression.",
    (
        released(
            {
                "steps": 10000,
                "batch_real": 512,
                "lr_labels": 1e-3,
                "lr_end": 0.1,
                "pool": 10,
                "pool_updates": 100,
                "pool_lr": 1e-4,
                "pool_warm_up": 500,
                "pool_batch": 500,
            },
            note="the scripts take lr_dynamic from the command line and name none; ours was chosen, see docs/methods.md",
        ),
        quick({**frepo.QUICK, "lr_dynamic": 1.0, **SD_QUICK}),
        main_job({**frepo.MAIN_JOB, **STATIC_MAIN_JOB}),
    ),
    version=FRePo.version,
)

# ----------------------------------------------------------------------------------------------------------------------
# Ablations


@final
class StaticOnly(Method[StaticConfig]):
    """Stage one alone: a clip is one of its still images, repeated."""

    name = "static-only"
    Config = StaticConfig
    paper = PAPER
    shares = STATIC_SHARES
    presets = (
        quick(STATIC_QUICK),
        main_job(STATIC_MAIN_JOB),
    )

    @override
    def distill(self, task: Task) -> SyntheticSet:
        return StaticDynamicSet(memory_labels(task), task.clip.frames, static=static_memory(task, self.config))

    @override
    def start(self) -> Start:
        return Start("start-frames", {"spc": self.config.spc, "per_clip": self.config.per_clip})

    @override
    def stored_bytes(self, work: Workload) -> int:
        return static_bytes(work, self.config)

    @override
    def clip_passes(self, work: Workload) -> float:
        return static_passes(work, self.config)

    @override
    def footprint(self, work: Workload) -> Footprint:
        return Footprint(frames=static_frames(work, self.config))


DMDynamicOnly = with_memories(
    DM,
    DMSDConfig,
    "`dm+sd` without the static memory: the hallucinator makes clips of the dynamic one alone.",
    DMSD.presets,
    kind="dynamic-only",
    static=False,
)
DMNoHallucinator = with_memories(
    DM,
    DMSDConfig,
    "`dm+sd` without the hallucinator: a clip is the sum of its static and its dynamic memory.",
    DMSD.presets,
    kind="no-hallucinator",
    hallucinator=False,
)
