"""A task on single frames: what learns clips learns still images through it, unchanged."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Artefact, ClipShape, Task, Upstream
from bench.core import temporal
from bench.distill.task_view import TaskView

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


@final
class FrameTask(TaskView):
    """The frames of a task's clips as clips of one frame, ``(C, 1, H, W)``, with the profile's image network.

    Position ``clip * T + frame`` is one frame of the middle window; `real` draws frames from all windows.

    Args:
        task: the task on clips.
        ipc: images per class that may be stored.
        ready: what `upstream` gives, asked for before: what is made for several cells waits for nothing else that is.
    """

    shows = "single frames", "clips"
    of_frames = True

    def __init__(self, task: Task, ipc: int, ready: Artefact | None = None) -> None:
        super().__init__(task, "frames", dataclasses.replace(task.clip, frames=1), temporal.dense(1), ipc)
        self._frames = task.clip.frames
        self._ready = ready

    @override
    def onto(self, task: Task) -> Task:
        return FrameTask(task, task.ipc)

    @override
    def indices(self, label: int) -> torch.Tensor:
        clips = self._task.indices(label)
        return (clips[:, None] * self._frames + torch.arange(self._frames)).flatten()

    @override
    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:  # `frame` can only be the one there is
        return self._task.clips(index // self._frames, views, index % self._frames)

    @override
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        pixels = self._task.pixels(index // self._frames)
        return pixels[torch.arange(len(index)), :, index % self._frames].unsqueeze(2)

    @override
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        return self._task.frame_network(rng)

    @override
    def upstream(self, what: Upstream) -> Artefact:
        return super().upstream(what) if self._ready is None else self._ready

    @override
    def rng(self, name: str, step: int = 0) -> torch.Generator:
        # Draws of its own, so that learning still images first changes nothing of what follows.
        return self._task.rng(f"frames {name}", step)
