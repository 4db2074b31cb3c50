"""The static + dynamic memory method (Wang et al., "Dancing with still images: video distillation via static-dynamic
disentanglement", CVPR 2024) with each matching objective, and its ablations.

Stage one learns still images (`methods._memory`), which are then frozen. Stage two learns a dynamic memory and a shared
hallucinator by any objective, through the same function that learns whole clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, final

from bench.api import Method, Preset, SyntheticSet, Task, Workload
from bench.distill.learner import Learner
from bench.sets.static_dynamic import StaticDynamicSet
from methods import frepo, mtt
from methods._memory import (
    STATIC_SHARES,
    MemoryConfig,
    StaticConfig,
    declines_memory,
    memory,
    memory_bytes,
    memory_labels,
    memory_rates,
    static_bytes,
    static_memory,
    static_passes,
)
from methods._presets import Values, main_job, quick, released
from methods.dc import DCMatching, gradient_passes, match_gradients, unchanged
from methods.dm import DMMatching, distribution_passes, match_distribution
from methods.frepo import FRePoMatching, label_bytes, match_regression, regression_passes
from methods.mtt import MTTMatching, match_trajectories, trajectory_passes

PAPER = "Wang et al., CVPR 2024"
LOOPS: Values = {"static_outer": 10, "static_inner": 50}  # of DC with ten images a class, as its paper has them
STATIC_QUICK: Values = {"static_steps": 40, "static_batch": 32}
STATIC_MAIN_JOB: Values = {"static_steps": 20}
SD_QUICK: Values = {"start": "identity", **STATIC_QUICK}
MTT_RELEASE: Values = {"lr_dynamic": 1e4, "lr_hallucinator": 1e-3, "steps": 10000, "max_start_epoch": 10, "experts": 30}


C = TypeVar("C", bound=MemoryConfig)

# ----------------------------------------------------------------------------------------------------------------------
# The method, with each objective


@dataclass(frozen=True)
class DMSDConfig(DMMatching, MemoryConfig):
    """Hyper-parameters of the memories and of DM."""

    momentum: float = 0.95


class _WithMemories(Method[C]):
    """What learns static and dynamic memory."""

    @final
    def declines(self, work: Workload) -> str | None:
        """See `Method`."""
        return declines_memory(work, self.name)


@final
class DMSD(_WithMemories[DMSDConfig]):
    """Static memory, then dynamic memory and hallucinator learned by distribution matching."""

    name = "dm+sd"
    Config = DMSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = ("real-means", *STATIC_SHARES)
    presets = (
        released({"lr_dynamic": 1e-4, "lr_hallucinator": 1e-5, "steps": 5000, "batch_real": 64}, ipc=1),
        released({"lr_dynamic": 1e3, "lr_hallucinator": 1e-6, "steps": 5000, "batch_real": 64, **LOOPS}, ipc=5),
        quick({"steps": 300, "batch_real": 32, "lr_dynamic": 1.0, **SD_QUICK}),
        main_job({"steps": 100, **STATIC_MAIN_JOB}),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_by_dm(task, memory(task, self.config), self.config)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config) + distribution_passes(work, self.config)


def learn_by_dm(task: Task, learned: StaticDynamicSet, config: DMSDConfig) -> SyntheticSet:
    """Stage two by distribution matching."""
    match_distribution(task, Learner(learned, memory_rates(learned, config), config.momentum), config)
    return learned


@dataclass(frozen=True)
class DCSDConfig(DCMatching, MemoryConfig):
    """Hyper-parameters of the memories and of DC."""

    momentum: float = 0.95
    lr_dynamic: float = 1.0
    lr_hallucinator: float = 1e-3


@final
class DCSD(_WithMemories[DCSDConfig]):
    """Static memory, then dynamic memory and hallucinator learned by gradient matching."""

    name = "dc+sd"
    Config = DCSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = ("real-gradients", *STATIC_SHARES)
    presets = (
        quick({"steps": 40, "batch_real": 16, "lr_dynamic": 10.0, **SD_QUICK}),
        main_job({"steps": 20, **STATIC_MAIN_JOB}),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        learned = memory(task, self.config)
        learner = Learner(learned, memory_rates(learned, self.config), self.config.momentum)
        match_gradients(task, learner, self.config, unchanged)
        return learned

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config) + gradient_passes(work, self.config)


@dataclass(frozen=True)
class MTTSDConfig(MTTMatching, MemoryConfig):
    """Hyper-parameters of the memories and of MTT."""

    steps: int = 10000
    momentum: float = 0.95
    lr_dynamic: float = 1e4
    lr_hallucinator: float = 1e-3


@final
class MTTSD(_WithMemories[MTTSDConfig]):
    """Static memory, then dynamic memory and hallucinator learned by trajectory matching."""

    name = "mtt+sd"
    Config = MTTSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = ("experts", *STATIC_SHARES)
    presets = (
        released({**MTT_RELEASE, "syn_steps": 10}, ipc=1, note=mtt.UNREAD),
        released(
            {**MTT_RELEASE, "syn_steps": 5, "batch_syn": 128, "learn_rate": False, **LOOPS},
            ipc=5,
            note=f"its script does not ask for a learned rate here; {mtt.UNREAD}",
        ),
        quick({**mtt.QUICK, "lr_dynamic": 1e3, "lr_hallucinator": 0.1, **SD_QUICK}),
        main_job({**mtt.MAIN_JOB, **STATIC_MAIN_JOB}),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        learned = memory(task, self.config)
        match_trajectories(task, learned, memory_rates(learned, self.config), self.config)
        return learned

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config) + mtt.extra_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config) + trajectory_passes(work, self.config)


@dataclass(frozen=True)
class FRePoSDConfig(FRePoMatching, MemoryConfig):
    """Hyper-parameters of the memories and of FRePo."""

    per_clip: int = 1
    lr_dynamic: float = 1e2
    lr_hallucinator: float = 1e-3


@final
class FRePoSD(_WithMemories[FRePoSDConfig]):
    """Static memory, then dynamic memory, hallucinator and labels learned by neural feature regression."""

    name = "frepo+sd"
    Config = FRePoSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = STATIC_SHARES
    presets = (
        released(
            {"steps": 10000, "pool": 10, "pool_updates": 100, "pool_lr": 1e-4, "batch_real": 512},
            note="the release takes the step size of the dynamic memory from the command line and names none",
        ),
        quick({**frepo.QUICK, "lr_dynamic": 0.01, **SD_QUICK}),
        main_job({**frepo.MAIN_JOB, **STATIC_MAIN_JOB}),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        learned = memory(task, self.config)
        match_regression(task, learned, memory_rates(learned, self.config), self.config)
        return learned

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config) + label_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config) + regression_passes(work, self.config)


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
        Preset(LOOPS, source="Zhao et al., ICLR 2021, appendix: images, IPC 10", ipc=5),
        quick(STATIC_QUICK),
        main_job(STATIC_MAIN_JOB),
    )

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return StaticDynamicSet(memory_labels(task), task.clip.frames, static=static_memory(task, self.config))

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return static_bytes(work, self.config)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config)


@final
class DMDynamicOnly(_WithMemories[DMSDConfig]):
    """`dm+sd` without the static memory: the hallucinator makes clips of the dynamic one alone."""

    name = "dm+dynamic-only"
    Config = DMSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = ("real-means",)
    presets = DMSD.presets
    in_all = False

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_by_dm(task, memory(task, self.config, static=False), self.config)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config, static=False)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return distribution_passes(work, self.config)


@final
class DMNoHallucinator(_WithMemories[DMSDConfig]):
    """`dm+sd` without the hallucinator: a clip is the sum of its static and its dynamic memory."""

    name = "dm+no-hallucinator"
    Config = DMSDConfig
    paper = PAPER
    tuned = ("lr_dynamic",)
    shares = ("real-means", *STATIC_SHARES)
    presets = DMSD.presets
    in_all = False

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return learn_by_dm(task, memory(task, self.config, hallucinator=False), self.config)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`."""
        return memory_bytes(work, self.config, hallucinator=False)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return static_passes(work, self.config) + distribution_passes(work, self.config)
