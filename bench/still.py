"""Clips that stand still: one frame, shown all the time. They are views that take one frame's memory, by which they are known.

A set of one stored frame, real clips of which one frame is seen, and clips whose time is frozen are all made by `hold`. Code
that copies such clips gets ordinary ones of the same numbers: nothing depends on `stands_still` but memory and time.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    kept, index = distinct(clips), index.to(clips.device)
    if kept.is_contiguous():
        chosen = kept.index_select(0, index)
    else:
        chosen = kept.permute(0, 2, 3, 4, 1).index_select(0, index).permute(0, 4, 1, 2, 3)
    return chosen.expand(-1, -1, clips.shape[2], -1, -1)


def joined(clips: Sequence[torch.Tensor], layout: torch.memory_format) -> torch.Tensor:
    """Batches of clips as one, in a memory layout; if all stand still, so does it."""
    if not all(map(stands_still, clips)):
        return torch.cat(list(clips)).contiguous(memory_format=layout)
    return hold(torch.cat([distinct(batch) for batch in clips]).contiguous(memory_format=layout), clips[0].shape[2])
