"""The taxonomy of temporal compression: how much of a clip's time is stored, matched and filled in again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.core.errors import BenchError

Interpolation = Literal["nearest", "linear", "cubic", "adaptive"]
"""How stored frames become a clip. ``adaptive`` is linear between frames that learning inserts where it needs them."""

_PATTERN = re.compile(r"n(\d{1,9})-r(\d{1,9})-k(\d{1,9})-([a-z]+)")


@dataclass(frozen=True)
class TemporalSetting:
    """Four factors of temporal compression; T is the number of frames the network sees.

    Attributes:
        n_syn: frames stored per synthetic clip (adaptive: at the start).
        n_real: distinct frames of each real clip that matching sees, spread evenly and expanded to T as stored ones are.
        segments: K, the number of equal consecutive segments that are stored and matched one by one.
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
    if frames > 2:
        named["keyframes-adaptive"] = TemporalSetting(2, frames, 1, "adaptive")
    named["static"] = TemporalSetting(1, 1)
    named |= {f"segments-{k}": TemporalSetting(frames, frames, k) for k in (2, 4) if frames % k == 0 and k < frames}
    return named


def taxonomy(frames: int) -> dict[str, list[TemporalSetting]]:
    """One factor at a time around ``dense``, each factor's values from much to little; ``dense`` itself is in none."""
    fewer = [k for k in (8, 4, 2, 1) if k < frames]
    interpolations: tuple[Interpolation, ...] = ("nearest", "cubic")
    return {
        "stored frames": [_plain(TemporalSetting(k, frames, 1, "linear"), frames) for k in fewer],
        "real frames": [_plain(TemporalSetting(frames, k, 1, "linear"), frames) for k in fewer],
        "segments": [TemporalSetting(frames, frames, k) for k in (2, 4) if frames % k == 0 and k < frames],
        "interpolation": [TemporalSetting(4, frames, 1, how) for how in interpolations if frames > 4],
    }


def parse_all(texts: Sequence[str], frames: int) -> list[TemporalSetting]:
    """Reads settings; ``taxonomy`` stands for ``dense`` and all of `taxonomy`. Each once, in order.

    Raises:
        BenchError: as `parse` does.
    """
    settings: list[TemporalSetting] = []
    for text in texts:
        if text == "taxonomy":
            settings += [dense(frames), *(setting for group in taxonomy(frames).values() for setting in group)]
        else:
            settings.append(parse(text, frames))
    return list(dict.fromkeys(settings))


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
            f"--settings: '{text}' is no temporal setting; valid: taxonomy, {', '.join(named)}, "
            f"or a form such as n4-r{frames}-k1-linear"
        )
    n_syn, n_real, segments = (int(match[i]) for i in (1, 2, 3))
    how = next((valid for valid in get_args(Interpolation) if valid == match[4]), None)
    if how is None:
        raise BenchError(f"--settings: '{text}' has no such interpolation; valid: {', '.join(get_args(Interpolation))}")
    fits = 1 <= n_syn <= frames and 1 <= n_real <= frames and segments >= 1
    if not fits or n_syn % segments or n_real % segments or frames % segments or frames == segments > 1:
        raise BenchError(
            f"--settings: '{text}' does not fit clips of {frames} frames; "
            f"need 1 <= n, r <= {frames} and k below {frames} a divisor of n, r and {frames}"
        )
    if how == "adaptive" and (n_syn, n_real, segments) != (2, frames, 1):
        raise BenchError(f"--settings: '{text}': adaptive starts from two frames; write n2-r{frames}-k1-adaptive")
    return _plain(TemporalSetting(n_syn, n_real, segments, how), frames)


def _plain(setting: TemporalSetting, frames: int) -> TemporalSetting:
    """The setting with ``nearest`` where nothing lies between frames: one a segment, or all of them."""
    segment_frames = frames // setting.segments
    counts = {setting.n_syn // setting.segments, setting.n_real // setting.segments}
    if setting.interpolation != "adaptive" and counts <= {1, segment_frames}:
        return TemporalSetting(setting.n_syn, setting.n_real, setting.segments, "nearest")
    return setting
