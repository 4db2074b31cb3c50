"""Where things go: results, data, cache. Nothing else in the suite decides a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs

from bench.core.errors import BenchError, Mistakes
from bench.core.text import parse_bytes, printable

CACHE_LIMIT = 32 << 30
"""Bytes that upstream artefacts may take in all, unless ``BENCH_CACHE_LIMIT`` says otherwise."""


_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes of a name and of a path that common file systems take."""


def possible(text: str) -> str:
    """The text, if it can be a path.

    Raises:
        BenchError: no file system takes it.
    """
    try:
        whole, longest = len(os.fsencode(text)), max((len(os.fsencode(name)) for name in Path(text).parts), default=0)
    except UnicodeEncodeError as error:
        raise BenchError(f"'{printable(text)}' is no path: it has characters that no file name can have") from error
    if "\0" in text:
        raise BenchError(f"'{printable(text)}' is no path: it holds a zero byte")
    if longest > _LONGEST_NAME:
        raise BenchError(f"'{text}' is no path: a name in it has {longest:,} bytes (at most {_LONGEST_NAME})")
    if whole > _LONGEST_PATH:
        raise BenchError(f"'{text}' is no path: it has {whole:,} bytes (at most {_LONGEST_PATH:,})")
    return text


def possible_path(text: str) -> Path:
    """The path.

    Raises:
        BenchError: see `possible`.
    """
    return Path(possible(text))


def check_environment() -> None:
    """Checks the variables ``BENCH_CACHE``, ``BENCH_CACHE_LIMIT`` and ``BENCH_DATA`` before anything runs.

    Raises:
        BenchError: one cannot be used.
    """
    mistakes = Mistakes()
    mistakes.attempt(cache_root)
    mistakes.attempt(cache_limit)
    mistakes.attempt(data_root, "", None)
    mistakes.tell()


def cache_root() -> Path:
    """Clip stores, upstream artefacts and checkpoints: ``BENCH_CACHE``, or the user's cache folder.

    Raises:
        BenchError: it is no folder.
    """
    return _folder("BENCH_CACHE") or Path(platformdirs.user_cache_dir("video-distillation-bench"))


def data_root(dataset: str, root: str | None) -> Path:
    """Where a named dataset is looked for: ``--root``, else ``BENCH_DATA/<dataset>``, else ``data/<dataset>``.

    Raises:
        BenchError: ``BENCH_DATA`` is no folder.
    """
    if root is not None:
        return Path(root)
    return (_folder("BENCH_DATA") or Path("data")) / dataset


def _folder(variable: str) -> Path | None:
    """The folder that an environment variable names; it need not exist. None if it names none."""
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        path = possible_path(text)
    except BenchError as error:
        raise BenchError(f"{variable}: {error}") from error
    if not may_be_folder(path):
        raise BenchError(f"{variable}: '{text}' is not a folder")
    return path


def may_be_folder(path: Path) -> bool:
    """Whether a path is a folder, or nothing yet, or cannot be looked at."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return True


def shipped(name: str) -> Path:
    """A file or folder that comes with the suite: inside an installed package, beside it in a source tree."""
    package = Path(__file__).parent.parent
    inside = package / name
    return inside if inside.exists() else package.parent / name


def cache_limit() -> int:
    """Bytes that upstream artefacts may take in all: ``BENCH_CACHE_LIMIT``, such as ``8GiB``, or `CACHE_LIMIT`.

    Raises:
        BenchError: it is no number of bytes.
    """
    text = os.environ.get("BENCH_CACHE_LIMIT")
    if not text:
        return CACHE_LIMIT
    try:
        return parse_bytes(text)
    except BenchError as error:
        raise BenchError(f"BENCH_CACHE_LIMIT{str(error).removeprefix('--budget')}") from error
