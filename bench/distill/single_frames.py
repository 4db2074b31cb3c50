"""A task on single frames: what learns clips learns still images through it, unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

import torch

from bench.api import Artefact, ClipShape, Metric, SyntheticSet, Task, Upstream
from bench.core import temporal
from bench.core.source import code_identity

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.config import Value


@final
class FrameTask(Task):
    """The frames of a task's clips as clips of one frame, ``(C, 1, H, W)``, with the profile's image network.

    Position ``clip * T + frame`` is one frame of the middle window; `real` draws frames from all windows.

    Args:
        task: the task on clips.
        ipc: images per class that may be stored.
        ready: what `upstream` gives, asked for before: what is made for several cells waits for nothing else that is.
    """

    def __init__(self, task: Task, ipc: int, ready: Artefact | None = None) -> None:
        self._task = task
        self._ready = ready
        self._frames = task.clip.frames
        self.classes = task.classes
        self.clip = dataclasses.replace(task.clip, frames=1)
        self.ipc = ipc
        self.budget = task.budget
        self.setting = temporal.dense(1)
        self.device = task.device
        self.seed = task.seed

    def indices(self, label: int) -> torch.Tensor:
        """See `Task`."""
        clips = self._task.indices(label)
        return (clips[:, None] * self._frames + torch.arange(self._frames)).flatten()

    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `Task`; ``frame`` can only be the one there is."""
        return self._task.clips(index // self._frames, views, index % self._frames)

    def views(self) -> int:
        """See `Task`."""
        return self._task.views()

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        pixels = self._task.pixels(index // self._frames)
        return pixels[torch.arange(len(index)), :, index % self._frames].unsqueeze(2)

    def real_set(self) -> SyntheticSet:
        """Not to be had of single frames.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the full data are clips, not single frames")

    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        """The profile's image network."""
        return self._task.frame_network(rng)

    def frame_network(self, rng: torch.Generator) -> Classifier:
        """The profile's image network."""
        return self._task.frame_network(rng)

    def trained_network(self) -> Classifier:
        """Not to be had of single frames.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("the trained network is one of clips, not of single frames")

    def upstream(self, what: Upstream) -> Artefact:
        """See `Task`: made of the frames, for however many images are to be stored."""
        return self._task.upstream(_OfFrames(what)) if self._ready is None else self._ready

    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """See `Task`. Draws of its own, so that learning still images first changes nothing of what follows."""
        return self._task.rng(f"frames {name}", step)

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """See `Task`."""
        self._task.checkpoint(step, state)

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """See `Task`."""
        return self._task.resume()

    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """See `Task`."""
        self._task.progress(step, total, **metrics)

    def log(self, message: str) -> None:
        """See `Task`."""
        self._task.log(message)


@final
class _OfFrames(Upstream):
    """An upstream artefact of single frames."""

    name = "frames"
    of_frames = True

    def __init__(self, what: Upstream) -> None:
        self._what = what
        self.name = f"{what.name}-of-frames"  # type: ignore[misc]
        self.parts = what.parts
        self.part_bytes = what.part_bytes

    def key(self) -> Mapping[str, Value]:
        """That of the artefact, and its source."""
        return {**self._what.key(), **code_identity(type(self._what))}

    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """One part, from frames."""
        return self._what.make(FrameTask(task, task.ipc), part)
