"""From stored bytes to what a network sees: normalisation, and a store's split as tensors on a device."""

from __future__ import annotations

import mmap
from typing import final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from typing_extensions import override

from bench.api import Clips, Split
from bench.core.upload import upload
from bench.data.clip_store import ClipStore

# The ImageNet figures, in [0, 1] units. They are fixed for all data, so that no batch or set influences another.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

SHARE = 0.25
"""The part of the free memory that the clips of a split may take. Networks and other cells need the rest."""

_BLOCK = 64 << 20  # bytes copied to a device at a time


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Network input from uint8 pixels, both ``(B, C, T, H, W)``; float32, memory layout kept."""
    scale = upload(torch.tensor([1 / (255 * s) for s in STD]), pixels.device).view(1, -1, 1, 1, 1)
    shift = upload(torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)]), pixels.device).view(1, -1, 1, 1, 1)
    return torch.addcmul(shift, pixels.float(), scale)


def fits(needed: int, free: int, share: float = SHARE) -> bool:
    """Whether so many bytes of clips fit into the free memory and leave room for the work on them."""
    return needed <= share * free


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device now; on a CPU those that the system could give, its file cache included."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@final
class SplitClips(Clips):
    """The clips of one split of a store, on a device.

    A GPU keeps them if they fit. Otherwise, and on a CPU always, the clips that are asked for are read from the memory map: what fits
    into memory stays in the system's file cache anyway, and a copy would only take more.

    Args:
        store: the decoded clips.
        split: which of them.
        device: where tensors go.
        free: bytes that are free on the device; None: asked for now.

    Attributes:
        positions: ``(N,)`` where the clips lie in the store.
        labels: ``(N,)`` int64, on the CPU.
    """

    def __init__(self, store: ClipStore, split: Split, device: torch.device, free: int | None = None) -> None:
        self.store = store
        self.device = device
        self.positions: NDArray[np.int64] = store.positions(split)
        self.labels = torch.from_numpy(store.labels[self.positions])
        # Reading rows of a plain array is ten times as fast as reading those of a memmap.
        self._stored = np.asarray(store.clips) if isinstance(store.clips, np.memmap) else store.clips
        needed = int(np.prod(store.clips.shape[1:], dtype=np.int64)) * len(self.positions)
        fitting = fits(needed, free_memory(device) if free is None else free)
        self._resident = copied(self._stored, self.positions, device) if fitting and device.type != "cpu" else None
        self._streamed = not fitting

    @override
    def views(self) -> int:
        return int(self.store.clips.shape[1])

    @override
    def mirrors(self) -> bool:
        return self.store.mirrors

    @override
    def streamed(self) -> bool:
        """Whether there are more clips than memory holds, so that they come from the disk."""
        return self._streamed

    def pixels(self, index: torch.Tensor, view: torch.Tensor, frame: torch.Tensor | None = None) -> torch.Tensor:
        """uint8 clips ``(B, C, T, H, W)`` (channels last in memory) of windows ``view`` ``(B,)``.

        With ``frame`` ``(B,)`` only that frame of each, ``(B, C, 1, H, W)``.
        """
        if self._resident is not None:
            chosen = picked(self._resident, index, view, frame)
        else:
            chosen = gathered(self._stored, self.positions[index.numpy()], view, frame, self.device)
            if self._streamed:
                let_go(self.store.clips)
        return chosen.permute(0, 4, 1, 2, 3)

    @override
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        return normalise(self.pixels(index, torch.full_like(index, view)))

    def middle(self) -> int:
        """The view nearest the middle of the videos."""
        return self.views() // 2


def gathered(
    stored: NDArray[np.uint8],
    positions: NDArray[np.int64],
    view: torch.Tensor,
    frame: torch.Tensor | None,
    device: torch.device,
) -> torch.Tensor:
    """Windows ``(B, T, H, W, 3)`` of some stored clips ``(N, views, T, H, W, 3)`` on a device; T is 1 with ``frame``.

    Only these windows are read. They go to a GPU through pinned memory, and this thread does not wait for that.
    """
    where = (positions, view.numpy()) if frame is None else (positions, view.numpy(), frame.numpy())
    row = np.ravel_multi_index(
        where, stored.shape[: len(where)]
    )  # refuses what is out of range, as `take` then does not
    length = stored.shape[2] if frame is None else 1
    shape = (len(row), length, *stored.shape[3:])
    pinned = (
        device.type == "cuda"
    )  # else NumPy makes room: it asks for huge pages, which halves the time of a large batch
    windows = (
        torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        if pinned
        else torch.from_numpy(np.empty(shape, np.uint8))
    )
    rows = stored.reshape(-1, length * int(np.prod(stored.shape[3:])))
    np.take(rows, row, axis=0, out=windows.numpy().reshape(len(row), -1), mode="clip")  # copies whole rows, unbuffered
    return windows.to(device, non_blocking=True)


def let_go(stored: NDArray[np.uint8]) -> None:
    """Unmaps what was read of a memory map. It stays in the system's file cache but no longer counts as this process's."""
    mapped: object = stored.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def copied(stored: NDArray[np.uint8], positions: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """All windows of some stored clips, ``(B, views, T, H, W, 3)``, as a tensor on a device; copied block by block."""
    resident = torch.empty((len(positions), *stored.shape[1:]), dtype=torch.uint8, device=device)
    block = max(1, _BLOCK // max(1, int(np.prod(stored.shape[1:], dtype=np.int64))))
    for start in range(0, len(positions), block):
        resident[start : start + block] = upload(torch.from_numpy(stored[positions[start : start + block]]), device)
    return resident


def picked(resident: torch.Tensor, index: torch.Tensor, view: torch.Tensor, frame: torch.Tensor | None) -> torch.Tensor:
    """The same windows as `gathered` has, from what `copied` has."""
    device = resident.device
    index, view = upload(index, device), upload(view, device)
    return resident[index, view] if frame is None else resident[index, view, upload(frame, device)].unsqueeze(1)
