"""A lock between processes, by a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(folder: Path, wait: Callable[[str], None]) -> Iterator[None]:
    """Keeps other processes from making the same folder meanwhile.

    Args:
        folder: ``name-key``; the lock lies beside it.
        wait: called about once a second, with a line for the user, while another process has the lock; may raise.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=1.0)
            break
        except Timeout:
            wait(f"waiting for another cell to make {folder.name.rpartition('-')[0]}")
    try:
        yield
    finally:
        lock.release()
