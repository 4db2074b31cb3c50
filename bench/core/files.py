"""Files that other processes may write, damage or wait for at the same time."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

SUFFIX = ".damaged"


def set_aside(path: Path) -> Path:
    """Renames a damaged file or folder to ``<name>.damaged`` beside it, in the place of an older one.

    Returns:
        Its new path; the old one if the folder cannot be written to.
    """
    target = path.with_name(path.name + SUFFIX)
    with contextlib.suppress(OSError):
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(path, target)
        return target
    return path


def state_of(path: Path) -> tuple[int, ...]:
    """What changes when a file's content does: number, size, times of change. Empty if there is no such file.

    The time of its last change of any kind cannot be set by a program; only a fault of the disk changes none of these.
    """
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def locked(folder: Path, wait: Callable[[str], None]) -> Iterator[None]:
    """Keeps other processes from making the same folder at the same time.

    Args:
        folder: its name is ``name-key``; the lock lies beside it.
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


MOST_TEXT = 256 << 20
"""Bytes of the longest text that a user may give: a file without an end, such as a device, is not read for ever."""


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """A text in UTF-8 that a user gives: a file, or a pipe.

    Raises:
        OSError: it cannot be read, or has more than ``most`` bytes.
        UnicodeDecodeError: it is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"longer than {most >> 20} MiB", str(path))
    return content.decode("utf-8-sig")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested thousands deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The body of a TOML text.

    Raises:
        ValueError: it is none, nested thousands deep, or holds a number of thousands of digits.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces."""
    return _CANONICAL.encode(value)


_DESCRIPTOR = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
"""The paths of what a process has open, files among them."""


def is_stream(path: Path) -> bool:
    """Whether a path is a device or a pipe, such as ``/dev/stdout``: what is written there cannot replace it.

    Raises:
        OSError: it is neither these nor a file, such as a folder or a disk.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, "neither a file nor a pipe", str(path))
    return not stat.S_ISREG(mode) or _DESCRIPTOR.fullmatch(str(path.absolute())) is not None


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file so that readers see either the old or the complete new one, even after a crash.

    Devices and pipes are written to. A link to a file stays a link, and the file is written.

    Raises:
        OSError: it cannot be written, or is neither a file nor a pipe.
    """
    if is_stream(path):
        _write_stream(path, data)
        return
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _write_stream(path: Path, data: bytes) -> None:
    sys.stdout.flush()
    ours = next((number for number in (1, 2) if _is_open_as(path, number)), None)
    with path.open("ab") if ours is None else os.fdopen(os.dup(ours), "wb") as stream:
        stream.write(data)


def _is_open_as(path: Path, descriptor: int) -> bool:
    """Whether this process has a path open under that number; where it is a file, writing goes on behind what was printed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def sweep(path: Path) -> None:
    """Removes what killed processes left beside a file that they were writing. Call it only while nobody else writes it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            leftover.unlink()
