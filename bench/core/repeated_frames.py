"""Clips that stand still: one frame, shown all the time. They are views that take one frame's memory, by which they are known.

A set of one stored frame, real clips of which one frame is seen, and clips whose time is frozen are all made by `hold`. Code
that copies such clips gets ordinary ones of the same numbers: nothing depends on `stands_still` but memory and time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch


def hold(frame: torch.Tensor, frames: int) -> torch.Tensor:
    """Clips ``(B, C, frames, H, W)`` that show ``frame`` ``(B, C, 1, H, W)`` all the time: a view, not to be written to."""
    return frame.expand(-1, -1, frames, -1, -1)


def stands_still(clips: torch.Tensor) -> bool:
    """Whether clips ``(B, C, T, H, W)`` are such a view; False for a single frame, which nothing is gained for."""
    return clips.dim() == 5 and clips.shape[2] > 1 and clips.stride(2) == 0


def distinct(clips: torch.Tensor) -> torch.Tensor:
    """The one frame ``(B, C, 1, H, W)`` of clips that stand still; other clips as they are. What has to be kept of them."""
    return clips[:, :, :1] if stands_still(clips) else clips


def rows(clips: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Some of the clips ``(N, C, T, H, W)``, in one copy; memory layout and standing still are kept."""
    return taken(distinct(clips), 0, index).expand(-1, -1, clips.shape[2], -1, -1)


def taken(clips: torch.Tensor, dim: Literal[0, 2], index: torch.Tensor) -> torch.Tensor:
    """Some clips (``dim`` 0) or frames (2) of ``(N, C, T, H, W)``, in one copy that keeps the memory layout; differentiable."""
    index = index.to(clips.device)
    if clips.is_contiguous() or not clips.is_contiguous(memory_format=torch.channels_last_3d):
        return clips.index_select(dim, index)
    return clips.permute(0, 2, 3, 4, 1).index_select(dim // 2, index).permute(0, 4, 1, 2, 3)


def joined(batches: Iterable[torch.Tensor], clips: int, layout: torch.memory_format) -> torch.Tensor:
    """Batches of clips as one, written to where they stay, so that no second copy of all of them ever exists.

    Args:
        batches: ``(b, C, T, H, W)`` each. If all of them stand still, so does what comes back.
        clips: how many they are together; at least 1.
        layout: the memory layout of what comes back.
    """
    whole = torch.empty(0)
    done = frames = 0
    for batch in batches:
        part, frames = distinct(batch), batch.shape[2]
        if done == 0:
            whole = torch.empty((clips, *part.shape[1:]), dtype=part.dtype, device=part.device, memory_format=layout)
        elif part.shape[2] > whole.shape[2]:  # those before it stand still, this one does not
            whole = whole.expand(-1, -1, frames, -1, -1).clone(memory_format=layout)
        whole[done : done + len(part)] = part
        done += len(part)
    return hold(whole, frames)
