"""All real training clips as a set, by reference: what the upper reference `full` trains on."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.sets.transient import UnarchivedSet

if TYPE_CHECKING:
    from bench.data.pixels import SplitClips


@final
class RealSet(UnarchivedSet):
    """Real clips that stay in the clip store; each rendering draws one of a clip's stored windows at random."""

    name = "real"

    def __init__(self, clips: SplitClips) -> None:
        self.clips = clips
        self.labels = clips.labels
        self.mirrors = clips.mirrors()

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        """The uint8 pixels, as a tensor without memory: they are counted, not copied."""
        shape = (len(self.clips), *self.clips.store.clips.shape[1:])
        return {"clips": torch.empty(shape, dtype=torch.uint8, device="meta")}

    @override
    def streamed(self) -> bool:
        return self.clips.streamed()

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Normalised clips, one random window each."""
        from bench.data.pixels import normalise

        view = torch.randint(self.clips.views(), index.shape, generator=rng)
        return normalise(self.clips.pixels(index, view))
