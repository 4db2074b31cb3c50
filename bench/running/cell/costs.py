"""Measures costs: the bytes of a set, and the seconds and peak memory of a phase."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import final

import torch

from bench.api import SyntheticSet
from bench.results.records import PhaseCost, SetReport, StoredTensor


def count_set(synthetic: SyntheticSet, artefact: str | None) -> SetReport:
    """Counts what a set stores. Integer labels are free, because the clips' order implies them; learned or soft ones are not."""
    counted = synthetic.stored()
    tensors = {
        name: StoredTensor(
            tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.numel() * tensor.itemsize
        )
        for name, tensor in counted.items()
    }
    return SetReport(
        kind=synthetic.name,
        clips=len(synthetic),
        storage_bytes=sum(stored.bytes for stored in tensors.values()),
        storage_bytes_fp32=sum(4 * tensor.numel() for tensor in counted.values()),
        tensors=tensors,
        artefact=artefact,
    )


@final
class PhaseMeter:
    """A context manager that measures one phase. Afterwards, ``cost`` has the result.

    Args:
        device: the device whose time and memory count.
        before: what earlier parts of the same phase took, if the cell was resumed.
    """

    def __init__(self, device: torch.device, before: PhaseCost | None = None) -> None:
        self.device = device
        self.before = before or PhaseCost(0.0, 0.0, 0, 0)
        self.cost = self.before

    def __enter__(self) -> PhaseMeter:
        _reset_peak_host()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cost = self.so_far()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count what happens inside, which is measured elsewhere."""
        self.before = self.so_far()
        try:
            yield
        finally:
            self.__enter__()

    def so_far(self) -> PhaseCost:
        """The cost up to now."""
        peak_device = 0
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            peak_device = torch.cuda.max_memory_allocated(self.device)
        wall = time.perf_counter() - self._wall
        device = wall if self.device.type == "cuda" else time.process_time() - self._cpu
        return PhaseCost(
            wall_seconds=self.before.wall_seconds + wall,
            device_seconds=self.before.device_seconds + device,
            peak_device_bytes=max(self.before.peak_device_bytes, peak_device),
            peak_host_bytes=max(self.before.peak_host_bytes, _peak_host()),
        )


def _reset_peak_host() -> None:
    # glibc keeps memory that an earlier phase has freed. It must not count for this phase.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    # On Linux, this resets the peak to the present size. Elsewhere the peak is that of the process since it started.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_host() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        import psutil

        return int(psutil.Process().memory_info().rss)
