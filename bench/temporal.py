"""The taxonomy of temporal compression: how much of a clip's time is stored, matched and filled in again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from bench.errors import BenchError

Interpolation = Literal["nearest", "linear"]

_PATTERN = re.compile(r"n(\d+)-r(\d+)-k(\d+)-([a-z]+)")


@dataclass(frozen=True)
class TemporalSetting:
    """Four factors of temporal compression; T is the number of frames the network sees.

    Attributes:
        n_syn: frames stored per synthetic clip.
        n_real: distinct frames of each real clip that matching sees.
        segments: K, the number of equal consecutive segments that are matched one by one.
        interpolation: how stored frames become T frames.
    """

    n_syn: int
    n_real: int
    segments: int = 1
    interpolation: Interpolation = "nearest"

    def __str__(self) -> str:
        return f"n{self.n_syn}-r{self.n_real}-k{self.segments}-{self.interpolation}"

    def is_dense(self, frames: int) -> bool:
        """Whether every one of the ``frames`` frames is stored and matched as it is."""
        return self == dense(frames)

    def label(self, frames: int) -> str:
        """The preset's name where there is one, else the written-out form."""
        return next((name for name, setting in presets(frames).items() if setting == self), str(self))


def dense(frames: int) -> TemporalSetting:
    """Every frame stored, matched as a whole clip."""
    return TemporalSetting(frames, frames)


def presets(frames: int) -> dict[str, TemporalSetting]:
    """The named settings for clips of ``frames`` frames."""
    named = {"dense": dense(frames)}
    named |= {f"keyframes-{k}": TemporalSetting(k, frames, 1, "linear") for k in (8, 4, 2) if k < frames}
    named["static"] = TemporalSetting(1, 1)
    named |= {f"segments-{k}": TemporalSetting(frames, frames, k) for k in (2, 4) if frames % k == 0}
    return named


def parse(text: str, frames: int) -> TemporalSetting:
    """Reads a preset's name or the form ``n4-r8-k2-linear``.

    Raises:
        BenchError: unknown name, or factors that do not fit clips of ``frames`` frames.
    """
    named = presets(frames)
    if text in named:
        return named[text]
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise BenchError(
            f"--settings: '{text}' is no temporal setting; valid: {', '.join(named)}, or a form such as n4-r{frames}-k1-linear"
        )
    n_syn, n_real, segments = (int(match[i]) for i in (1, 2, 3))
    if match[4] not in get_args(Interpolation):
        raise BenchError(f"--settings: '{text}' has no such interpolation; valid: {', '.join(get_args(Interpolation))}")
    fits = 1 <= n_syn <= frames and 1 <= n_real <= frames and 1 <= segments <= n_syn
    if not fits or n_syn % segments or frames % segments:
        raise BenchError(
            f"--settings: '{text}' does not fit clips of {frames} frames; "
            f"need 1 <= n, r <= {frames} and k a divisor of both n and {frames}"
        )
    return TemporalSetting(n_syn, n_real, segments, "linear" if match[4] == "linear" else "nearest")
