"""What is computed again and again while networks are judged, computed once and kept in memory where it fits."""

from __future__ import annotations

import functools
from typing import final

import torch
from typing_extensions import override

from bench.api import Clips, SyntheticSet
from bench.core.repeated_frames import concatenate, distinct_frames, repeat_frame, repeats_one_frame, select_clips
from bench.core.rng import generator
from bench.core.upload import upload
from bench.sets.transient import UnarchivedSet

MOST_BYTES = 1 << 30
"""Clips that would take more are computed anew each time."""

_BATCH = 16


def cached_clips(clips: Clips, layout: torch.memory_format) -> Clips:
    """The same clips, normalised once, when they are first asked for; the clips themselves if that takes more than `MOST_BYTES`.

    Args:
        clips: what networks are tested on.
        layout: the memory layout that they get; the numbers are the same.
    """
    if len(clips) == 0 or isinstance(clips, CachedClips):
        return clips
    first = clips.batch(torch.zeros(1, dtype=torch.int64), 0)
    if len(clips) * clips.views() * first.numel() * first.itemsize > MOST_BYTES:
        return clips
    return CachedClips(clips, layout)


def cached_set(data: SyntheticSet, device: torch.device, layout: torch.memory_format) -> SyntheticSet:
    """The same set, rendered once; the set itself if it renders at random or its clips take more than `MOST_BYTES`.

    A set renders at random if it draws from the generator that it is handed.

    Args:
        data: the set.
        device: where the clips will lie.
        layout: their memory layout; the numbers are the same.
    """
    rng = generator("kept", "render")
    untouched = rng.get_state()
    rendered: list[torch.Tensor] = []
    for index in torch.arange(len(data)).split(_BATCH):  # type: ignore[no-untyped-call]
        with torch.no_grad():
            batch = data.render(index, rng)
        if not torch.equal(rng.get_state(), untouched):
            return data
        if len(data) * distinct_frames(batch)[0].numel() * batch.itemsize > MOST_BYTES:
            return data
        rendered.append(
            repeat_frame(upload(distinct_frames(batch), device), batch.shape[2])
            if repeats_one_frame(batch)
            else upload(batch, device)
        )
    return RenderedSet(data, concatenate(rendered, len(data), layout))


@final
class CachedClips(Clips):
    """Clips in memory, as networks see them.

    Args:
        clips: the clips.
        layout: see `cached_clips`.
    """

    def __init__(self, clips: Clips, layout: torch.memory_format) -> None:
        self.labels = clips.labels
        self._clips = clips
        self._layout = layout

    @functools.cached_property
    def _windows(self) -> list[torch.Tensor]:
        """All clips of each window, ``(N, C, T, H, W)``; made when the first one is asked for."""
        batches = torch.arange(len(self._clips)).split(_BATCH)  # type: ignore[no-untyped-call]
        return [
            concatenate((self._clips.batch(index, view) for index in batches), len(self._clips), self._layout)
            for view in range(self._clips.views())
        ]

    @override
    def views(self) -> int:
        return self._clips.views()

    @override
    def mirrors(self) -> bool:
        return self._clips.mirrors()

    @override
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        return select_clips(self._windows[view], index)

    def lent(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """The same clips, not to be written to: consecutive ones are a view."""
        first = int(index[0])
        if torch.equal(index, torch.arange(first, first + len(index))):
            return self._windows[view][first : first + len(index)]
        return self.batch(index, view)


@final
class RenderedSet(UnarchivedSet):
    """Another set, by reference, with its clips ``(N, C, T, H, W)`` as it renders them."""

    name = "rendered"

    def __init__(self, base: SyntheticSet, clips: torch.Tensor) -> None:
        self.base = base
        self.clips = clips
        self.labels = base.labels
        self.label_loss = base.label_loss
        self.rate = base.rate
        self.mirrors = base.mirrors

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return self.base.tensors()

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return select_clips(self.clips, index)
