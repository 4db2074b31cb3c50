"""Profiles: named bundles of clip geometry, network and protocol. Part of every cell; no table mixes two."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api import Geometry
from bench.errors import BenchError


@dataclass(frozen=True)
class Profile:
    """A named bundle; methods key their own budgets by its name.

    Attributes:
        geometry: of the clips.
        network: for clips, distilling and judging.
        protocol: how sets are judged.
        summary: a line for lists.
        frame_network: for single frames, where a method learns still images.
    """

    name: str
    geometry: Geometry
    network: str
    protocol: str
    summary: str
    frame_network: str


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
