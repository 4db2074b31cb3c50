"""The clips that an evaluation tested, in order. Each list is stored once, in a file named by the digest that records hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from bench.core.files import canonical_json, parse_json, write_atomic


def digest(keys: Sequence[str]) -> str:
    """SHA-256 of the keys in their order, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(list(keys)).encode()).hexdigest()


def keep(out: Path, keys: Sequence[str]) -> str:
    """Writes the keys to ``out``, unless an intact file is there already; returns their digest."""
    name = digest(keys)
    if read(out, name) is None:
        write_atomic(path(out, name), (json.dumps(list(keys), indent=0, ensure_ascii=False) + "\n").encode())
    return name


def read(out: Path, name: str) -> tuple[str, ...] | None:
    """The keys with that digest; None if their file is missing or damaged."""
    try:
        keys = parse_json(path(out, name).read_text(encoding="utf-8"))
        return tuple(keys) if digest(keys) == name else None
    except (OSError, ValueError, TypeError):
        return None


def path(out: Path, name: str) -> Path:
    """The file of the keys with that digest."""
    return out / "test-clips" / f"{name}.json"
