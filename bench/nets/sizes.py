"""What clips a network can take, in the words of its refusal."""

from __future__ import annotations

from bench.api import ClipShape, Network
from bench.core.errors import BenchError


def require(network: Network, clip: ClipShape) -> None:
    """Refuses clips that the network declines.

    Raises:
        BenchError: with the network's reason.
    """
    reason = network.declines(clip)
    if reason is not None:
        raise BenchError(reason)


def at_least(network: Network, clip: ClipShape, frames: int, side: int, advice: str = "") -> str | None:
    """Why clips of fewer frames, or of fewer pixels a side, are declined; None for clips that are large enough."""
    if clip.frames >= frames and min(clip.height, clip.width) >= side:
        return None
    plural = "s" if frames > 1 else ""
    return (
        f"network '{network.name}' needs clips of at least {frames} frame{plural} of {side}x{side}, "
        f"not {clip.frames} of {clip.height}x{clip.width}{advice}"
    )
