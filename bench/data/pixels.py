"""From stored bytes to what a network sees: normalisation, and a store's split as tensors on a device."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import Clips, Split
from bench.data.store import ClipStore

# Fixed for all data, so that no batch or set influences another: the ImageNet figures, in [0, 1] units.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# A split that takes at most this much is copied to a GPU once; a larger one, and on a CPU any, is gathered from the memory map,
# which is as fast as memory where the system still has the file in it.
RESIDENT_BYTES = 4 << 30


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Network input from uint8 pixels, both ``(B, C, T, H, W)``; float32, memory layout kept."""
    scale = torch.tensor([1 / (255 * s) for s in STD], device=pixels.device).view(1, -1, 1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)], device=pixels.device).view(1, -1, 1, 1, 1)
    return torch.addcmul(shift, pixels.float(), scale)


@final
class SplitClips(Clips):
    """The clips of one split of a store, on a device.

    Attributes:
        positions: ``(N,)`` where the clips lie in the store.
        labels: ``(N,)`` int64, on the CPU.
    """

    def __init__(self, store: ClipStore, split: Split, device: torch.device) -> None:
        self.store = store
        self.device = device
        self.positions: NDArray[np.int64] = store.positions(split)
        self.labels = torch.from_numpy(store.labels[self.positions].copy())
        bytes_needed = int(np.prod(store.clips.shape[1:], dtype=np.int64)) * len(self.positions)
        self._resident: torch.Tensor | None = None
        if device.type != "cpu" and bytes_needed <= RESIDENT_BYTES:
            self._resident = torch.from_numpy(store.clips[self.positions]).to(device)

    def views(self) -> int:
        """Stored windows per clip."""
        return int(self.store.clips.shape[1])

    def pixels(self, index: torch.Tensor, view: torch.Tensor, frame: torch.Tensor | None = None) -> torch.Tensor:
        """uint8 clips ``(B, C, T, H, W)`` (channels last in memory) of windows ``view`` ``(B,)``.

        With ``frame`` ``(B,)`` only that frame of each, ``(B, C, 1, H, W)``.
        """
        clips, resident = self.store.clips, self._resident
        place = index.cpu() if resident is not None else torch.from_numpy(self.positions)[index.cpu()]
        rows, shape = place * clips.shape[1] + view.cpu(), clips.shape[2:]
        if frame is not None:
            rows, shape = rows * shape[0] + frame.cpu(), (1, *shape[1:])
        # Whole rows: each is one copy of memory, where indexing along several axes is eight times as slow.
        if resident is not None:
            chosen = resident.view(-1, *shape).index_select(0, rows.to(self.device))
        else:
            chosen = torch.from_numpy(clips.reshape(-1, *shape)[rows.numpy()]).to(self.device)
        return chosen.permute(0, 4, 1, 2, 3)

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, of one window."""
        return normalise(self.pixels(index, torch.full_like(index, view)))

    def middle(self) -> int:
        """The view nearest the middle of the videos."""
        return self.views() // 2
