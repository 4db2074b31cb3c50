"""Sets that store a few frames of each clip and fill in the others."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.repeated_frames import repeat_frame
from bench.core.temporal import Interpolation, TemporalSetting
from bench.core.upload import upload


def places(stored: int, frames: int, interpolation: Interpolation) -> list[int]:
    """Which frames of a whole clip are stored, ``stored`` of ``frames``: what stands for the rest.

    ``nearest``: the middle of the time that each is shown for. Otherwise spread evenly from first to last; one alone is the middle
    one.
    """
    if interpolation == "nearest" or stored == 1:
        return [(2 * i + 1) * frames // (2 * stored) for i in range(stored)]
    return [(2 * i * (frames - 1) + stored - 1) // (2 * (stored - 1)) for i in range(stored)]


def sources(stored: int, frames: int, interpolation: Interpolation) -> tuple[list[int], list[int], list[float]]:
    """From which stored frames each rendered frame comes: ``(left, right, weight of right)``, each of length ``frames``.

    ``nearest``: frame t shows stored frame ``floor(t * stored / frames)``, so each is held for an equal time.
    ``linear``: stored frames are spread evenly from time 0 to time ``frames - 1``, both included; between two of them pixels are
    mixed in proportion. A single stored frame is shown all the time.
    """
    if interpolation == "nearest" or stored == 1:
        left = [t * stored // frames for t in range(frames)]
        return left, left, [0.0] * frames
    # In whole numbers, so that a frame that falls on a stored one is that one to the bit.
    cuts = [divmod(t * (stored - 1), frames - 1) for t in range(frames)]
    left = [before for before, _ in cuts]
    return left, [min(before + 1, stored - 1) for before in left], [past / (frames - 1) for _, past in cuts]


def expand(stored: torch.Tensor, frames: int, interpolation: Interpolation, segments: int = 1) -> torch.Tensor:
    """Clips of ``frames`` frames from clips of fewer: ``(B, C, n, H, W)`` to ``(B, C, frames, H, W)``.

    ``nearest`` and ``linear``: see `sources`. ``cubic``: the cubic spline through the stored frames, standing as for ``linear``
    (not-a-knot ends: what moves as a polynomial of up to third degree is exact). With ``segments`` the stored frames are those
    of consecutive segments, each expanded by itself.

    Differentiable. If all frames are stored, they come back as they are, to the bit. A single one is repeated without a copy.
    """
    if segments > 1:
        batch, channels, count, height, width = stored.shape
        parts = (
            stored.reshape(batch, channels, segments, count // segments, height, width).transpose(1, 2).flatten(0, 1)
        )
        expanded = expand(parts, frames // segments, interpolation)
        expanded = expanded.view(batch, segments, channels, frames // segments, height, width)
        return expanded.transpose(1, 2).flatten(2, 3)
    if stored.shape[2] == 1:
        return repeat_frame(stored, frames)
    if stored.shape[2] == frames:
        return stored
    if interpolation == "nearest":
        left, _, _ = sources(stored.shape[2], frames, interpolation)
        return stored.index_select(2, upload(torch.tensor(left), stored.device))
    # As a matrix product, forward and backward cost a sixth of taking two frames and mixing them.
    mixing = upload(weights(stored.shape[2], frames, interpolation).to(stored.dtype), stored.device)
    return torch.matmul(mixing, stored.flatten(3)).view(*stored.shape[:2], frames, *stored.shape[3:])


@functools.cache
def weights(stored: int, frames: int, interpolation: Interpolation) -> torch.Tensor:
    """The weight of each stored frame in each frame of the clip, ``(frames, stored)`` float64; rows add up to 1."""
    if interpolation == "cubic":
        import numpy as np  # not at the top: plans and lists load this module and need no numpy
        from scipy.interpolate import CubicSpline

        knots = np.linspace(0, frames - 1, stored)
        return torch.from_numpy(CubicSpline(knots, np.eye(stored))(np.arange(frames)))
    mixing = torch.zeros(frames, stored, dtype=torch.float64)
    for frame, (left, right, weight) in enumerate(zip(*sources(stored, frames, interpolation), strict=True)):
        mixing[frame, left] += 1 - weight
        mixing[frame, right] += weight
    return mixing


def known_frames(clips: torch.Tensor, setting: TemporalSetting) -> torch.Tensor:
    """The frames of real clips ``(B, C, T, H, W)`` that matching knows, ``(B, C, n_real, H, W)``."""
    if setting.n_real == clips.shape[2]:
        return clips
    return stored_frames(clips, setting.n_real, _between(setting), setting.segments)


def as_matched(known: torch.Tensor, frames: int, setting: TemporalSetting) -> torch.Tensor:
    """Real clips as matching sees them: those frames expanded to ``(B, C, frames, H, W)``."""
    if setting.n_real == frames:
        return known
    return expand(known, frames, _between(setting), setting.segments)


def _between(setting: TemporalSetting) -> Interpolation:
    return "linear" if setting.interpolation == "adaptive" else setting.interpolation


def stored_frames(clips: torch.Tensor, count: int, interpolation: Interpolation, segments: int) -> torch.Tensor:
    """The ``count`` frames of clips ``(B, C, T, H, W)`` that are stored, ``(B, C, count, H, W)``; see `places`."""
    length = clips.shape[2] // segments
    within = places(count // segments, length, interpolation)
    index = [number * length + place for number in range(segments) for place in within]
    return clips.index_select(2, upload(torch.tensor(index), clips.device))


@final
class KeyframeSet(SyntheticSet):
    """Key frames, learned (float32, normalised) or taken from real clips (uint8, as decoded), expanded to whole clips.

    Attributes:
        frames: ``(N, C, n, H, W)`` float32 in network units, or uint8 pixels.
        labels: see `SyntheticSet`.
        total: T, the frames of a rendered clip; at least n.
        interpolation: see `expand`. Pixels are mixed in network units, which are linear in the decoded ones.
        segments: into which a clip is cut; n and T are multiples of it.

    Raises:
        BenchError: no stored frame, more of them than T, or no such interpolation.
    """

    name = "keyframes"

    def __init__(
        self,
        frames: torch.Tensor,
        labels: torch.Tensor,
        total: int,
        interpolation: Interpolation,
        segments: int = 1,
    ) -> None:
        if frames.dim() != 5 or not 1 <= frames.shape[2] <= total:
            raise BenchError(
                f"key frames must be (N, C, n, H, W) with n from 1 to the {total} frames of a clip; "
                f"they are {tuple(frames.shape)}"
            )
        if interpolation not in ("nearest", "linear", "cubic"):
            raise BenchError(f"key frames: no interpolation '{interpolation}' (valid: nearest, linear, cubic)")
        if segments < 1 or frames.shape[2] % segments or total % segments:
            raise BenchError(
                f"key frames: {segments} segments are no divisor of {frames.shape[2]} stored of {total} frames"
            )
        self.frames = frames
        self.labels = labels
        self.total = total
        self.interpolation = interpolation
        self.segments = segments

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        total, interpolation, segments = options["frames"], options["interpolation"], options["segments"]
        if not isinstance(total, int) or not isinstance(segments, int):
            raise TypeError(f"frames and segments are {total!r} and {segments!r}, not whole numbers")
        return cls(tensors["frames"], labels, total, interpolation, segments)  # type: ignore[arg-type]  # checked there

    @override
    def options(self) -> dict[str, Value]:
        """T, the interpolation and the segments."""
        return {"frames": self.total, "interpolation": self.interpolation, "segments": self.segments}

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"frames": self.frames}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Whole clips; uint8 frames are normalised before they are expanded."""
        frames = self.frames[upload(index, self.frames.device)]
        if frames.dtype == torch.uint8:
            from bench.data.pixels import normalise

            frames = normalise(frames)
        return expand(frames, self.total, self.interpolation, self.segments)
