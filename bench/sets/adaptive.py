"""Key frames where a clip needs them: learning starts from two and inserts one where linear interpolation fails.

After PRISM (2026; "gradient disagreement of neighbours"): a frame that is interpolated is stored from now on where the gradient of
the loss in it opposes that in both stored frames around it, so that moving these cannot serve it. The first fifth of the updates
inserts nothing (gradients settle), nor does the last (inserted frames settle).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.upload import upload
from bench.sets.transient import UnarchivedSet

WARM_UP, COOL_DOWN = 0.2, 0.2
CHECKS = 20  # over the whole of learning; in each a clip gains at most one frame
DECAY = 0.9  # of the running mean of gradients, those of a single step being noisy


@final
class AdaptiveSet(SyntheticSet):
    """Clips of different numbers of stored frames, linear in between.

    Attributes:
        frames: ``(M, C, H, W)`` float32: all stored frames, clip after clip, in the order of time.
        stored_at: ``(N, T)`` uint8: 1 where a frame is stored. Counted like the rest.
        labels: see `SyntheticSet`.
    """

    name = "adaptive-keyframes"

    def __init__(self, frames: torch.Tensor, stored_at: torch.Tensor, labels: torch.Tensor) -> None:
        if int(stored_at.sum()) != len(frames) or not bool((stored_at[:, [0, -1]] == 1).all()):
            raise BenchError(
                "adaptive key frames: first and last frame of each clip must be stored, and no frame too few"
            )
        self.frames = frames
        self.stored_at = stored_at
        self.labels = labels
        self._left, self._right, self._weight = neighbours(stored_at.bool())
        # Where the frame of clip n at time t lies among all stored ones; read only where one is stored.
        self._row = stored_at.flatten().long().cumsum(0).view(stored_at.shape) - 1

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        return cls(tensors["frames"], tensors["stored_at"], labels)

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"frames": self.frames, "stored_at": self.stored_at}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        index = upload(index, self.frames.device)
        row = self._row[index]
        before = self.frames[row.gather(1, self._left[index])]
        after = self.frames[row.gather(1, self._right[index])]
        return torch.lerp(before, after, self._weight[index][:, :, None, None, None]).transpose(1, 2)


@final
class GrowingSet(UnarchivedSet):
    """An `AdaptiveSet` while it is learned: room for every frame, of which only the stored ones show and are learned.

    Args:
        clips: ``(N, C, T, H, W)`` float32, T at least 2; first and last frames are stored at the start.
        labels: see `SyntheticSet`.
        updates: how many there will be.
    """

    name = "growing"

    def __init__(self, clips: torch.Tensor, labels: torch.Tensor, updates: int) -> None:
        self.clips = clips.clone(memory_format=torch.contiguous_format)
        self.labels = labels
        self._updates = updates
        self._done = torch.zeros((), dtype=torch.int64)
        self._stored = torch.zeros(len(clips), clips.shape[2], dtype=torch.bool, device=clips.device)
        self._stored[:, [0, -1]] = True
        self._gradient = torch.zeros_like(self.clips)

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"clips": self.clips}

    @override
    def buffers(self) -> dict[str, torch.Tensor]:
        """Which frames are stored, the running gradient, the updates done."""
        return {"stored": self._stored, "gradient": self._gradient, "done": self._done}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Whole clips; the gradient that comes back to them is remembered."""
        index = upload(index, self.clips.device)
        left, right, weight = (part[index] for part in neighbours(self._stored))
        frames = self.clips.transpose(1, 2)  # (N, T, C, H, W)
        clip = index[:, None]
        mixed = torch.lerp(frames[clip, left], frames[clip, right], weight[:, :, None, None, None]).transpose(1, 2)
        if mixed.requires_grad:
            mixed.register_hook(lambda gradient: self._observe(index, gradient.detach()))  # type: ignore[no-untyped-call]
        return mixed

    @override
    def updated(self) -> None:
        """Inserts frames after an update where a check is due."""
        self._done += 1
        done, every = int(self._done), max(1, self._updates // CHECKS)
        if WARM_UP * self._updates < done <= (1 - COOL_DOWN) * self._updates and done % every == 0:
            with torch.no_grad():
                self._insert()

    def finished(self) -> AdaptiveSet:
        """What is stored in the end."""
        frames = self.clips.detach().transpose(1, 2)[self._stored]
        made = AdaptiveSet(frames.contiguous(), self._stored.to(torch.uint8), self.labels)
        made.label_loss, made.rate = self.label_loss, self.rate
        return made

    def _observe(self, index: torch.Tensor, gradient: torch.Tensor) -> None:
        self._gradient[index] = self._gradient[index].lerp(gradient, 1 - DECAY)

    def _insert(self) -> None:
        """One frame a clip at most: the interpolated one whose gradient is most opposed to both of its neighbours'."""
        opposed = opposition(self._gradient, self._stored)
        worst, place = opposed.min(dim=1)
        clips = (worst < 0).nonzero().flatten()
        place = place[clips]
        shown = self.render(clips, torch.Generator())
        self.clips[clips, :, place] = shown[torch.arange(len(clips), device=clips.device), :, place]
        self._stored[clips, place] = True


def neighbours(stored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The stored frames around every frame, and the weight of the later one; each ``(N, T)``.

    Args:
        stored: ``(N, T)`` bool, the first and the last of each row True.
    """
    frames = stored.shape[1]
    time = torch.arange(frames, device=stored.device).expand_as(stored)
    left = torch.where(stored, time, -1).cummax(dim=1).values
    right = torch.where(stored, time, frames).flip(1).cummin(dim=1).values.flip(1)
    weight = (time - left) / (right - left).clamp(min=1)
    return left, right, weight.to(torch.float32)


def opposition(gradient: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
    """How much the gradient in each interpolated frame opposes both of its neighbours': the larger of the two cosines.

    Below zero it opposes both.

    Args:
        gradient: ``(N, C, T, H, W)`` in the rendered clips.
        stored: ``(N, T)`` bool.

    Returns:
        ``(N, T)``; 1 where a frame is stored.
    """
    flat = torch.nn.functional.normalize(gradient.transpose(1, 2).flatten(2), dim=2)  # (N, T, values)
    left, right, _ = neighbours(stored)
    clip = torch.arange(len(stored), device=stored.device)[:, None]
    cosines = [(flat * flat[clip, beside]).sum(dim=2) for beside in (left, right)]
    return torch.maximum(*cosines).masked_fill(stored, 1.0)
