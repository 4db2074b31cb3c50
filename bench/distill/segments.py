"""Learning in a temporal setting: stored frames of whole clips, or of one segment after another.

What is stored of one segment is matched with that segment of the real clips, as a clip of its own length, and losses add up.
No two segments share a stored number, so learning them one after another goes down the same sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import ClipShape, Metric, SyntheticSet, Task
from bench.core.temporal import TemporalSetting
from bench.distill.real_start import Initial, initialisation
from bench.distill.task_view import TaskView
from bench.sets.adaptive import GrowingSet
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value

_FINISHED = "finished segment "


def learn_in_time(
    task: Task, learn: Callable[[Task, SyntheticSet], None], updates: int, start: Initial = "real"
) -> SyntheticSet:
    """Starts from random real clips, or from noise, and learns what the task's temporal setting stores of them.

    Args:
        task: the task.
        learn: learns a set in place, with the task it is given: that of whole clips, or of one segment.
        updates: how many updates it will do.
        start: what it starts from.
    """
    if task.setting.interpolation == "adaptive":
        first = initialisation(task, start)
        growing = GrowingSet(first.render(torch.arange(len(first)), task.rng("start")), first.labels, updates)
        learn(task, growing)
        return growing.finished()
    if task.setting.segments == 1:
        synthetic = initialisation(task, start)
        learn(task, synthetic)
        return synthetic
    return _learn_segments(task, learn, start)


def _learn_segments(task: Task, learn: Callable[[Task, SyntheticSet], None], start: Initial) -> SyntheticSet:
    """Learns one segment after another; those that a checkpoint holds are not learned again."""
    setting = task.setting
    finished = _finished(task)
    labels = torch.zeros(0)
    for number in range(setting.segments):
        segment = SegmentTask(task, number, finished)
        synthetic = initialisation(segment, start, number)
        labels = synthetic.labels
        if number == len(finished):
            learn(segment, synthetic)
            (frames,) = synthetic.tensors().values()
            finished.append(frames.detach())
    frames = torch.cat(finished, dim=2)
    if frames.shape[2] == task.clip.frames:
        return DenseSet(frames, labels)
    return KeyframeSet(frames, labels, task.clip.frames, setting.interpolation, setting.segments)


def _finished(task: Task) -> list[torch.Tensor]:
    """The stored frames of the segments that are done, from the task's checkpoint."""
    checkpoint = task.resume()
    if checkpoint is None:
        return []
    _, state = checkpoint
    return [state[name] for name in sorted(state) if name.startswith(_FINISHED)]


@final
class SegmentTask(TaskView):
    """One segment of a task's clips, as clips of its length.

    Args:
        task: the task on whole clips.
        number: which segment.
        finished: what is stored of the segments before, kept in every checkpoint.
    """

    shows = "segments", "whole clips"

    def __init__(self, task: Task, number: int, finished: list[torch.Tensor]) -> None:
        self._number = number
        self._finished = finished
        self._count = task.setting.segments
        self._frames = task.clip.frames // self._count
        clip = dataclasses.replace(task.clip, frames=self._frames)
        super().__init__(task, f"segment-{number + 1}", clip, of_one_segment(task.setting), task.ipc)

    @override
    def onto(self, task: Task) -> Task:
        return SegmentTask(task, self._number, [])

    @override
    def key(self) -> Mapping[str, Value]:
        return {"segment": self._number, "of": self._count}

    @override
    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        if frame is not None:
            return self._task.clips(index, views, frame + self._number * self._frames)
        return self._own(self._task.clips(index, views))

    @override
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        return self._own(self._task.pixels(index))

    def _own(self, clips: torch.Tensor) -> torch.Tensor:
        return clips[:, :, self._number * self._frames : (self._number + 1) * self._frames]

    @override
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        return self._task.network(rng, self.clip if clip is None else clip)

    @override
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        before = {f"{_FINISHED}{number:03}": frames for number, frames in enumerate(self._finished)}
        self._task.checkpoint(step, lambda: {**before, **state()})

    @override
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        checkpoint = self._task.resume()
        if checkpoint is None or sum(name.startswith(_FINISHED) for name in checkpoint[1]) != self._number:
            return None  # a checkpoint of another segment
        return checkpoint

    @override
    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        self._task.progress(self._number * total + step, self._count * total, **metrics)


def of_one_segment(setting: TemporalSetting) -> TemporalSetting:
    """The setting that each segment has as a clip of its own."""
    count = setting.segments
    return TemporalSetting(setting.n_syn // count, setting.n_real // count, 1, setting.interpolation)
