"""A task seen through something, such as single frames: what learns clips learns what the view shows, unchanged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, final

import torch
from typing_extensions import override

from bench.api import Artefact, ClipShape, Metric, SyntheticSet, Task, Upstream
from bench.core.source import code_identity
from bench.core.temporal import TemporalSetting

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value


class TaskView(Task):
    """What a task looks like through a view. Every method is a hook: the task behind answers what a view does not override.

    Attributes:
        shows: what the view shows, and what the task behind does, for messages.
        of_frames: see `Upstream`.

    Args:
        task: the task behind.
        name: what the view shows, as a part of the names of upstream artefacts.
        clip, setting, ipc: as in `Task`.
    """

    shows: ClassVar[tuple[str, str]]
    of_frames: ClassVar[bool] = False

    def __init__(self, task: Task, name: str, clip: ClipShape, setting: TemporalSetting, ipc: int) -> None:
        self._task = task
        self.name = name
        self.classes = task.classes
        self.clip = clip
        self.ipc = ipc
        self.budget = task.budget
        self.setting = setting
        self.device = task.device
        self.seed = task.seed

    @abstractmethod
    def onto(self, task: Task) -> Task:
        """The same view of another task, for making an artefact."""

    def key(self) -> Mapping[str, Value]:
        """Which view it is, as a part of the keys of upstream artefacts. Default: there is but one."""
        return {}

    @override
    def indices(self, label: int) -> torch.Tensor:
        return self._task.indices(label)

    @override
    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self._task.clips(index, views, frame)

    @override
    def views(self) -> int:
        return self._task.views()

    @override
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        return self._task.pixels(index)

    @final
    @override
    def training_batch(self, clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self._task.training_batch(clips, rng)

    @final
    @override
    def real_set(self) -> SyntheticSet:
        part, whole = self.shows
        raise NotImplementedError(f"the full data are {whole}, not {part}")

    @override
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        return self._task.network(rng, clip)

    @override
    def frame_network(self, rng: torch.Generator) -> Classifier:
        return self._task.frame_network(rng)

    @final
    @override
    def trained_network(self) -> Classifier:
        part, whole = self.shows
        raise NotImplementedError(f"the trained network is one of {whole}, not of {part}")

    @override
    def upstream(self, what: Upstream) -> Artefact:
        return self._task.upstream(_Seen(what, self))

    @override
    def rng(self, name: str, step: int = 0) -> torch.Generator:
        return self._task.rng(name, step)

    @override
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        self._task.checkpoint(step, state)

    @override
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        return self._task.resume()

    @override
    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        self._task.progress(step, total, **metrics)

    @override
    def log(self, message: str) -> None:
        self._task.log(message)


@final
class _Seen(Upstream):
    """An upstream artefact that is made through a view."""

    name = "seen"

    def __init__(self, what: Upstream, view: TaskView) -> None:
        self._what = what
        self._view = view
        self.name = f"{what.name}-of-{view.name}"  # type: ignore[misc]  # that of each instance
        self.of_frames = view.of_frames  # type: ignore[misc]
        self.of_protocol = what.of_protocol  # type: ignore[misc]
        self.parts = what.parts
        self.part_bytes = what.part_bytes

    @override
    def key(self) -> Mapping[str, Value]:
        return {**self._what.key(), **code_identity(type(self._what)), **self._view.key()}

    @override
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        return self._what.make(self._view.onto(task), part)
