"""A note beside a large file that all of it was read and found right, so that nobody reads all of it again until it changes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from bench.core.files import parse_json, state_of, write_atomic


def note(path: Path, digest: str) -> None:
    """Notes that a file has a digest; without a note, where none can be written, it is read whole each time."""
    with contextlib.suppress(OSError):
        write_atomic(_note(path), json.dumps([digest, *state_of(path)]).encode())


def is_noted(path: Path, digest: str) -> bool:
    """Whether the file was found to have that digest, and has not been changed, copied or moved here since."""
    try:
        return bool(parse_json(_note(path).read_text(encoding="utf-8")) == [digest, *state_of(path)])
    except (OSError, ValueError):
        return False


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.read")
