"""A digest that a JSON file carries of itself: the SHA-256 of everything else in it. Whoever edits the file by hand is found out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bench.core.files import canonical_json

KEY = "digest"
_LAST = "\n}"


def signed(body: Mapping[str, Any]) -> str:
    """The text of a file: indented JSON with sorted keys, and last the digest of all of it as canonical JSON."""
    text = json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return f'{text.removesuffix(_LAST)},\n "{KEY}": "{_sha256(canonical_json(body).encode())}"{_LAST}\n'


def is_intact(text: str | bytes, body: Mapping[str, Any]) -> bool:
    """Whether a file still holds what it was signed with, however it is laid out now.

    Args:
        text: of the file.
        body: the same, decoded.
    """
    import msgspec

    digest = body.get(KEY)
    if not isinstance(digest, str):
        return False
    # Without spaces, what `signed` writes is canonical JSON. Looking at that is six times as fast as making it anew.
    compact, end = msgspec.json.format(text.encode() if isinstance(text, str) else text, indent=-1), _end(digest)
    if compact.endswith(end) and _sha256(compact.removesuffix(end) + b"}") == digest:
        return True
    return _sha256(canonical_json({name: value for name, value in body.items() if name != KEY}).encode()) == digest


def _end(digest: str) -> bytes:
    return f',"{KEY}":"{digest}"}}'.encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
