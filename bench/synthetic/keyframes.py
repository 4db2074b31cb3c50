"""Sets that store a few frames of each clip and fill in the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final, get_args

import torch

from bench.api import SyntheticSet
from bench.config import Value
from bench.errors import BenchError
from bench.temporal import Interpolation


def sources(stored: int, frames: int, interpolation: Interpolation) -> tuple[list[int], list[int], list[float]]:
    """From which stored frames each rendered frame comes: ``(left, right, weight of right)``, each of length ``frames``.

    ``nearest``: frame t shows stored frame ``floor(t * stored / frames)``, so each is held for an equal time.
    ``linear``: stored frames stand evenly from time 0 to time ``frames - 1``, both included; between two of them pixels are
    mixed in proportion. A single stored frame stands all the time.
    """
    if interpolation == "nearest" or stored == 1:
        left = [t * stored // frames for t in range(frames)]
        return left, left, [0.0] * frames
    # In whole numbers, so that a frame that falls on a stored one is that one to the bit.
    places = [divmod(t * (stored - 1), frames - 1) for t in range(frames)]
    left = [whole for whole, _ in places]
    return left, [min(whole + 1, stored - 1) for whole in left], [rest / (frames - 1) for _, rest in places]


def expand(stored: torch.Tensor, frames: int, interpolation: Interpolation) -> torch.Tensor:
    """Clips of ``frames`` frames from clips of fewer: ``(B, C, n, H, W)`` to ``(B, C, frames, H, W)``; see `sources`.

    Differentiable; the gradient of a stored frame is the sum over the frames that show it. As many frames as asked for
    come back as they are, to the bit.
    """
    left, right, weights = sources(stored.shape[2], frames, interpolation)
    before = stored.index_select(2, torch.tensor(left, device=stored.device))
    if not any(weights):
        return before
    after = stored.index_select(2, torch.tensor(right, device=stored.device))
    weight = torch.tensor(weights, dtype=stored.dtype, device=stored.device).view(-1, 1, 1)
    return torch.lerp(before, after, weight)


@final
class KeyframeSet(SyntheticSet):
    """Key frames, learned (float32, normalised) or taken from real clips (uint8, as decoded), expanded to whole clips.

    Attributes:
        frames: ``(N, C, n, H, W)`` float32 in network units, or uint8 pixels.
        labels: see `SyntheticSet`.
        total: T, the frames of a rendered clip; at least n.
        interpolation: see `sources`. Pixels are mixed in network units, which are linear in the decoded ones.

    Raises:
        BenchError: no stored frame, more of them than T, or no such interpolation.
    """

    name = "keyframes"

    def __init__(self, frames: torch.Tensor, labels: torch.Tensor, total: int, interpolation: Interpolation) -> None:
        if frames.dim() != 5 or not 1 <= frames.shape[2] <= total:
            raise BenchError(
                f"key frames must be (N, C, n, H, W) with n from 1 to the {total} frames of a clip; "
                f"they are {tuple(frames.shape)}"
            )
        if interpolation not in get_args(Interpolation):
            raise BenchError(
                f"key frames: no interpolation '{interpolation}' (valid: {', '.join(get_args(Interpolation))})"
            )
        self.frames = frames
        self.labels = labels
        self.total = total
        self.interpolation = interpolation

    @classmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """See `SyntheticSet`."""
        total, interpolation = options["frames"], options["interpolation"]
        if not isinstance(total, int):
            raise TypeError(f"frames is {total!r}, not a whole number")
        return cls(tensors["frames"], labels, total, interpolation)  # type: ignore[arg-type]  # checked there

    def options(self) -> dict[str, Value]:
        """T and the interpolation."""
        return {"frames": self.total, "interpolation": self.interpolation}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The stored frames."""
        return {"frames": self.frames}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Whole clips; uint8 frames are normalised before they are expanded."""
        frames = self.frames[index.to(self.frames.device)]
        if frames.dtype == torch.uint8:
            from bench.data.pixels import normalise

            frames = normalise(frames)
        return expand(frames, self.total, self.interpolation)
