"""What matching methods share. A method writes its loop, `Objective.match`; where a set starts and what it takes is here.

class DM(Matching[DMConfig]):
    def match(self, task, synthetic, rates):
        learner = Learner(synthetic, rates, self.config.momentum)
        for step in learner.steps(task, self.config.steps):
            ...
            learner.update(loss)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, final

import torch
from typing_extensions import override

from bench.api import Method, Start, SyntheticSet, Task, Upstream, Workload
from bench.core.upload import upload
from bench.distill.real_start import Initial, pixel_bytes
from bench.distill.segments import learn_in_time

if TYPE_CHECKING:
    from bench.core.config import Value


class PixelConfig(Protocol):
    """What `Matching` reads of a Config: the number of updates, and the step size on pixels in network units."""

    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def lr(self) -> float: ...  # noqa: D102


C = TypeVar("C")
P = TypeVar("P", bound=PixelConfig)


class Objective(Method[C]):
    """A method whose loss can be descended on any kind of set, through ``stored()`` and ``render()`` alone."""

    @abstractmethod
    def match(self, task: Task, synthetic: SyntheticSet, rates: Mapping[str, float]) -> None:
        """Learns a set in place, going on from the task's checkpoint if it has one.

        Args:
            task: what is matched: whole clips, one segment of them, or single frames.
            synthetic: what is learned.
            rates: the learning rate of each of its tensors that is learned, by name.
        """

    def extra_bytes(self, work: Workload) -> int:
        """Bytes that `match` stores beside the set it is given, such as learned labels. Default: none."""
        return 0

    def before(self) -> Mapping[str, Value]:
        """How a set is trained on before `match` has learned anything, if not as any other: fields of `methods.unlearned`.

        Default: with hard labels, at the protocol's learning rate.
        """
        return {}

    @final
    def learned_pixels(self, task: Task, lr: float, updates: int, start: Initial = "real") -> SyntheticSet:
        """The frames that the temporal setting stores of random real clips, or of noise, learned by `match`.

        Args:
            task: the task.
            lr: learning rate of the pixels.
            updates: how often `match` moves them.
            start: what they start from.
        """

        def learn(part: Task, synthetic: SyntheticSet) -> None:
            self.match(part, synthetic, dict.fromkeys(synthetic.tensors(), lr))

        return learn_in_time(task, learn, updates, start)


class Matching(Objective[P]):
    """A method that learns float32 pixels, from random real clips, in every temporal setting."""

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        return self.learned_pixels(task, self.config.lr, self.config.steps)

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        return pixel_bytes(work, 4) + self.extra_bytes(work)

    @final
    @override
    def start(self) -> Start:
        return Start("start-clips", self.before())

    @override
    def declines(self, work: Workload) -> str | None:
        """Why a temporal setting cannot be done. Default: every one can."""
        return None


class PerStep(Upstream):
    """A tensor that each step of matching needs and real clips alone decide: most of the work, and none of it the set's.

    It depends on the distillation seed and the step, hence serves every IPC, temporal setting and kind of set. Steps are made
    in blocks: a part holds ``steps`` ``(block, ...)``, is one file and made by one process.

    Attributes:
        most: steps in a part, where more are asked for.
        block: steps in a part of this one.
        batch_real: real clips per class and step.

    Args:
        task: tells how large a step's tensor is.
        steps: how many are asked for.
        batch_real: see there.
    """

    most: ClassVar[int] = 20

    def __init__(self, task: Task, steps: int, batch_real: int) -> None:
        self.batch_real = batch_real
        self.block = max(1, min(self.most, steps))
        self.parts = -(-steps // self.block)
        self.part_bytes = self.block * self.step_bytes(task)

    @abstractmethod
    def of_step(self, task: Task, step: int) -> torch.Tensor:
        """Makes one step's tensor: on the device or, where a block of them is too much for it, on the CPU."""

    def step_bytes(self, task: Task) -> int:
        """Bytes of one step's tensor. Default: those of one feature vector a class."""
        network = task.network(task.rng("size"))
        with torch.no_grad():
            features = network.features(task.clips(task.indices(0)[:1]))
        return len(task.classes) * features.shape[1] * features.element_size()

    def settings(self) -> Mapping[str, Value]:
        """What the tensors depend on beside ``batch_real``. Default: nothing."""
        return {}

    @final
    @override
    def key(
        self,
    ) -> Mapping[str, Value]:  # without the number of steps: asking for more of them makes only the new ones
        few = {"block": self.block} if self.block < self.most else {}
        return {"batch_real": self.batch_real, **few, **self.settings()}

    @final
    @override
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        made = []
        for step in range(part * self.block, (part + 1) * self.block):
            made.append(self.of_step(task, step))
            task.progress(step + 1, self.parts * self.block)
        return {"steps": torch.stack(made).cpu()}

    @final
    def shared(self, task: Task) -> Callable[[int], torch.Tensor]:
        """A function from a step to its tensor, on the device; what the cache lacks is made now."""
        artefact = task.upstream(self)

        def read(step: int) -> torch.Tensor:
            part, row = divmod(step, self.block)
            return upload(artefact.rows(part, "steps", slice(row, row + 1))[0], task.device)

        return read
