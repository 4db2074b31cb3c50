"""The storage codecs: how the float tensors of a set are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from bench.core.errors import BenchError

Storage = Literal["float32", "float16", "uint8"]


STORAGES: tuple[Storage, ...] = get_args(Storage)
"""How float tensors of a distilled set are stored; uint8 pixels of real clips are stored as they are by each."""


PLAIN: Storage = "float32"


def check_storages(names: Sequence[str]) -> tuple[Storage, ...]:
    """The storage codecs of these names.

    Raises:
        BenchError: one does not exist, or none is given.
    """
    unknown = [name for name in names if name not in STORAGES]
    if unknown or not names:
        given = f"'{unknown[0]}' is no storage codec" if unknown else "none given"
        raise BenchError(f"--storage: {given} (valid: {', '.join(STORAGES)})")
    return tuple(dict.fromkeys(name for name in STORAGES if name in names))
