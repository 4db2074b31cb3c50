"""Named random generators: every draw of the suite can be repeated alone, and none touches a global state.

A generator is keyed by what it is for, not by how many draws came before it. ``generator(seed, "real", step)`` is the same
whether a run is fresh, resumed or one of many, so no generator state ever has to be stored.
"""

from __future__ import annotations

import hashlib
import json

import torch


def derive_seed(*keys: str | int) -> int:
    """A 63-bit seed from a sequence of names and numbers; different sequences give unrelated seeds."""
    text = json.dumps(keys, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*keys: str | int) -> torch.Generator:
    """A CPU generator for these keys. Draws are made on the CPU so that every device sees the same numbers."""
    return torch.Generator().manual_seed(derive_seed(*keys))
