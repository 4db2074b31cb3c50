"""Clips that show one frame all the time, as views that take the memory of that frame alone.

`repeat_frame` makes them: for a set of one stored frame, for real clips of which one frame is seen, and for clips whose time is
frozen. `repeats_one_frame` knows them by their stride, and networks then compute equal frames once. Code that copies such clips
gets ordinary ones of the same numbers: only memory and time depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch

from bench.core.upload import upload


def repeat_frame(frame: torch.Tensor, frames: int) -> torch.Tensor:
    """Clips ``(B, C, frames, H, W)`` that show ``frame`` ``(B, C, 1, H, W)`` all the time: a view, not to be written to."""
    return frame.expand(-1, -1, frames, -1, -1)


def repeats_one_frame(clips: torch.Tensor) -> bool:
    """Whether clips ``(B, C, T, H, W)`` are such a view; False where T is 1, for nothing can be saved there."""
    return clips.dim() == 5 and clips.shape[2] > 1 and clips.stride(2) == 0


def distinct_frames(clips: torch.Tensor) -> torch.Tensor:
    """The frames that have to be kept of clips: the one frame ``(B, C, 1, H, W)`` that they repeat, else all of them."""
    return clips[:, :, :1] if repeats_one_frame(clips) else clips


def select_clips(clips: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Some of the clips ``(N, C, T, H, W)`` in one copy, in the same memory layout; a repeated frame stays one frame."""
    return select(distinct_frames(clips), 0, index).expand(-1, -1, clips.shape[2], -1, -1)


def select(clips: torch.Tensor, dim: Literal[0, 2], index: torch.Tensor) -> torch.Tensor:
    """Some clips (``dim`` 0) or frames (2) of ``(N, C, T, H, W)``, in one copy of the same memory layout; differentiable."""
    index = upload(index, clips.device)
    if clips.is_contiguous() or not clips.is_contiguous(memory_format=torch.channels_last_3d):
        return clips.index_select(dim, index)
    return clips.permute(0, 2, 3, 4, 1).index_select(dim // 2, index).permute(0, 4, 1, 2, 3)


def concatenate(batches: Iterable[torch.Tensor], count: int, layout: torch.memory_format) -> torch.Tensor:
    """Batches of clips as one tensor. Each is written to where it stays, so that no second copy of all clips ever exists.

    Args:
        batches: ``(b, C, T, H, W)`` each. If all of them repeat one frame, so does what comes back.
        count: how many clips they hold together; at least 1.
        layout: the memory layout of what comes back.
    """
    clips = torch.empty(0)
    done = frames = 0
    for batch in batches:
        part, frames = distinct_frames(batch), batch.shape[2]
        if done == 0:
            clips = torch.empty((count, *part.shape[1:]), dtype=part.dtype, device=part.device, memory_format=layout)
        elif part.shape[2] > clips.shape[2]:  # the batches before it repeat one frame, this one does not
            clips = clips.expand(-1, -1, frames, -1, -1).clone(memory_format=layout)
        clips[done : done + len(part)] = part
        done += len(part)
    return repeat_frame(clips, frames)
