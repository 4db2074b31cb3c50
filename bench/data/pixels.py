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

# A split that takes at most this much is copied to the device once; a larger one is gathered from the memory map.
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
        self._resident = self._gather(np.arange(len(self.positions))) if bytes_needed <= RESIDENT_BYTES else None

    def views(self) -> int:
        """Stored windows per clip."""
        return int(self.store.clips.shape[1])

    def pixels(self, index: torch.Tensor, view: torch.Tensor, frame: torch.Tensor | None = None) -> torch.Tensor:
        """uint8 clips ``(B, C, T, H, W)`` (channels last in memory) of windows ``view`` ``(B,)``.

        With ``frame`` ``(B,)`` only that frame of each, ``(B, C, 1, H, W)``.
        """
        if self._resident is not None:
            clips, first = self._resident, index.to(self.device)
        else:
            clips, first = self._gather(index.numpy()), torch.arange(len(index), device=self.device)
        view = view.to(self.device)
        chosen = clips[first, view] if frame is None else clips[first, view, frame.to(self.device)].unsqueeze(1)
        return chosen.permute(0, 4, 1, 2, 3)

    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, of one window."""
        return normalise(self.pixels(index, torch.full_like(index, view)))

    def middle(self) -> int:
        """The view nearest the middle of the videos."""
        return self.views() // 2

    def _gather(self, index: NDArray[np.int64]) -> torch.Tensor:
        # Fancy indexing of a memory map copies just the clips asked for.
        return torch.from_numpy(np.ascontiguousarray(self.store.clips[self.positions[index]])).to(self.device)
