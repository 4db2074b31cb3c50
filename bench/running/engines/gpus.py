"""Which GPU a worker process has: the first that is free, counted over all processes of the machine."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from bench.core.errors import BenchError

_LOOK_SECONDS = 0.5


@contextlib.contextmanager
def own_device(device: str, per_gpu: int) -> Iterator[str]:
    """The device of this process: with ``cuda`` one GPU that at most ``per_gpu`` processes share, waiting until one is free.

    ``auto`` is ``cuda`` where there is one and else ``cpu``, which is what it is, like a GPU with a number.

    Raises:
        BenchError: there is no GPU.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BenchError(f"--device {device}: no CUDA device is available on this machine")
    if device != "cuda":
        yield device
        return
    names = [_identity(number) for number in range(torch.cuda.device_count())]
    with free_place(names, per_gpu, _folder()) as number:
        torch.cuda.set_device(number)  # for code that says "cuda" without a number
        yield f"cuda:{number}"


@contextlib.contextmanager
def free_place(names: Sequence[str], per_gpu: int, folder: Path) -> Iterator[int]:
    """The number of a GPU with a place free, which is held until the end; a killed process lets go of it.

    Args:
        names: of the GPUs, the same for all processes.
        per_gpu: places of each; GPUs fill evenly.
        folder: of the locks, on this machine.
    """
    while True:
        for place in range(per_gpu):
            for number, name in enumerate(names):
                lock = FileLock(folder / f"{name}-{place}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                try:
                    yield number
                    return
                finally:
                    lock.release()
        time.sleep(_LOOK_SECONDS)


def _identity(number: int) -> str:
    """A name of a GPU that does not depend on which ones a process sees."""
    import torch

    return str(getattr(torch.cuda.get_device_properties(number), "uuid", number))


def _folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"video-distillation-bench-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
