"""Clips that are mirrored left to right, or not, by chance."""

from __future__ import annotations

from typing import final

import torch
from typing_extensions import override

from bench.core.upload import upload
from bench.sets.transient import ViewedSet


def mirrored(clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Each clip of a batch ``(B, C, T, H, W)`` mirrored with a chance of a half."""
    return mirrored_where(clips, torch.rand(len(clips), generator=rng) < 0.5)


def mirrored_where(clips: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """The clips ``(B, C, T, H, W)``, those mirrored that ``which`` ``(B,)`` names."""
    return torch.where(upload(which, clips.device).view(-1, 1, 1, 1, 1), clips.flip(-1), clips)


@final
class MirroredSet(ViewedSet):
    """Another set, by reference, each of whose clips is mirrored or not, drawn anew in each rendering."""

    name = "mirrored"

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return mirrored(self.base.render(index, rng), rng)
