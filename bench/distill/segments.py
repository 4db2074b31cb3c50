"""Learning in a temporal setting: stored frames of whole clips, or of one segment after another.

What is stored of one segment is matched with that segment of the real clips, as a clip of its own length, and losses add up.
No two segments share a stored number, so learning them one after another goes down the same sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch

from bench.api import Artefact, ClipShape, Metric, SyntheticSet, Task, Upstream
from bench.core.source import code_identity
from bench.core.temporal import TemporalSetting
from bench.distill.real_start import real_initialisation
from bench.sets.adaptive import GrowingSet
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value

_FINISHED = "finished segment "


def learn_in_time(task: Task, learn: Callable[[Task, SyntheticSet], None], updates: int) -> SyntheticSet:
    """Starts from random real clips and learns what the task's temporal setting stores of them.

    Args:
        task: the task.
        learn: learns a set in place, with the task it is given: that of whole clips, or of one segment.
        updates: how many updates it will do.
    """
    segments = task.setting.segments
    if task.setting.interpolation == "adaptive":
        start = real_initialisation(task)
        growing = GrowingSet(start.render(torch.arange(len(start)), task.rng("start")), start.labels, updates)
        learn(task, growing)
        return growing.finished()
    if segments == 1:
        synthetic = real_initialisation(task)
        learn(task, synthetic)
        return synthetic
    finished = _finished(task)
    labels = torch.zeros(0)
    for number in range(segments):
        part = SegmentTask(task, number, finished)
        synthetic = real_initialisation(part)
        labels = synthetic.labels
        if number == len(finished):
            learn(part, synthetic)
            (stored,) = synthetic.tensors().values()
            finished.append(stored.detach())
    everything = torch.cat(finished, dim=2)
    if everything.shape[2] == task.clip.frames:
        return DenseSet(everything, labels)
    return KeyframeSet(everything, labels, task.clip.frames, task.setting.interpolation, segments)


def _finished(task: Task) -> list[torch.Tensor]:
    """The segments that a checkpoint says are done."""
    kept = task.resume()
    if kept is None:
        return []
    done = sorted(name for name in kept[1] if name.startswith(_FINISHED))
    return [kept[1][name] for name in done]


@final
class SegmentTask(Task):
    """One segment of a task's clips, as clips of its length.

    Args:
        task: the task on whole clips.
        number: which segment.
        finished: what is stored of the segments before, kept in every checkpoint.
    """

    def __init__(self, task: Task, number: int, finished: list[torch.Tensor]) -> None:
        self._task = task
        self._number = number
        self._finished = finished
        self._count = task.setting.segments
        self._frames = task.clip.frames // self._count
        self.classes = task.classes
        self.clip = dataclasses.replace(task.clip, frames=self._frames)
        self.ipc = task.ipc
        self.budget = task.budget
        self.setting = of_one_segment(task.setting)
        self.device = task.device
        self.seed = task.seed

    def indices(self, label: int) -> torch.Tensor:
        """See `Task`."""
        return self._task.indices(label)

    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `Task`."""
        if frame is not None:
            return self._task.clips(index, views, frame + self._number * self._frames)
        return self._own(self._task.clips(index, views))

    def views(self) -> int:
        """See `Task`."""
        return self._task.views()

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        return self._own(self._task.pixels(index))

    def real_set(self) -> SyntheticSet:
        """Not to be had of segments.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the full data are whole clips, not segments")

    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        """See `Task`: for clips of the segment's length."""
        return self._task.network(rng, self.clip if clip is None else clip)

    def frame_network(self, rng: torch.Generator) -> Classifier:
        """See `Task`."""
        return self._task.frame_network(rng)

    def trained_network(self) -> Classifier:
        """Not to be had of segments.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the trained network is one of whole clips, not of segments")

    def upstream(self, what: Upstream) -> Artefact:
        """See `Task`: made of this segment alone."""
        return self._task.upstream(_OfSegment(what, self._number, self._count))

    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """See `Task`."""
        return self._task.rng(name, step)

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """See `Task`."""
        before = {f"{_FINISHED}{number:03}": stored for number, stored in enumerate(self._finished)}
        self._task.checkpoint(step, lambda: {**before, **state()})

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """See `Task`: only what was kept of this very segment."""
        kept = self._task.resume()
        if kept is None or sum(name.startswith(_FINISHED) for name in kept[1]) != self._number:
            return None
        return kept

    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """See `Task`: as a part of all segments."""
        self._task.progress(self._number * total + step, self._count * total, **metrics)

    def log(self, message: str) -> None:
        """See `Task`."""
        self._task.log(message)

    def _own(self, clips: torch.Tensor) -> torch.Tensor:
        return clips[:, :, self._number * self._frames : (self._number + 1) * self._frames]


def of_one_segment(setting: TemporalSetting) -> TemporalSetting:
    """The setting that each segment has as a clip of its own."""
    count = setting.segments
    return TemporalSetting(setting.n_syn // count, setting.n_real // count, 1, setting.interpolation)


@final
class _OfSegment(Upstream):
    """An upstream artefact of one segment."""

    name = "segment"

    def __init__(self, what: Upstream, number: int, count: int) -> None:
        self._what = what
        self._number = number
        self._count = count
        self.name = f"{what.name}-of-segment-{number + 1}"  # type: ignore[misc]
        self.parts = what.parts
        self.part_bytes = what.part_bytes

    def key(self) -> Mapping[str, Value]:
        """That of the artefact, its source, and which segment."""
        return {**self._what.key(), **code_identity(type(self._what)), "segment": self._number, "of": self._count}

    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """One part, from the segment's clips."""
        return self._what.make(SegmentTask(task, self._number, []), part)
