"""JSON with a digest of itself, so that what was altered or cut short is not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bench.core.files import canonical_json

_SEAL = "sha256"


def seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its SHA-256 beside it."""
    return {**body, _SEAL: _digest(body)}


def unseal(sealed: Any) -> dict[str, Any]:
    """What `seal` was given. A body without a digest, of an earlier version of the suite, is taken as it is.

    Raises:
        ValueError: it is no JSON object, or its digest is of something else.
    """
    if not isinstance(sealed, dict):
        raise ValueError("no JSON object")
    body = {name: value for name, value in sealed.items() if name != _SEAL}
    if _SEAL in sealed and sealed[_SEAL] != _digest(body):
        raise ValueError("it was changed after it was written")
    return body


def _digest(body: Mapping[str, Any]) -> str:
    # As it will be read: JSON knows no tuples, and all its keys are text.
    return hashlib.sha256(canonical_json(json.loads(json.dumps(body))).encode()).hexdigest()
