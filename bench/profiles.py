"""Profiles: named bundles of clip geometry, network and protocol. Part of every cell; no table mixes two."""

from __future__ import annotations

from bench.api import Geometry, Profile
from bench.core.errors import BenchError

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "quick",
            Geometry(8, 8, 32, 32),
            "convnet3d-small",
            "quick",
            "a CPU, minutes: 8 frames of 32x32",
            "cnn-mean-small",
        ),
        Profile(
            "paper",
            Geometry(16, 4, 120, 112, 3),
            "convnet3d",
            "standard",
            "the published geometry: 16 frames of 112x112",
            "cnn-mean",
        ),
    )
}


def profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        BenchError: unknown name.
    """
    if name not in PROFILES:
        raise BenchError(f"--profile: unknown profile '{name}' (valid: {', '.join(PROFILES)})")
    return PROFILES[name]
