"""The networks the suite knows, described without torch; each loads its modules when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from bench.api import ClipShape, Network
from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


@final
class ConvNet3DNetwork(Network):
    """ConvNet3D as published (3 blocks, 64-128-128, kernel 3x7x7, no norm); for clips of 64 pixels and more."""

    name = "convnet3d"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small for its seven halvings.
        """
        from bench.nets.convnet3d import ConvNet3D

        _require(self, clip)
        return ConvNet3D(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Clips too small for its seven halvings."""
        if min(clip.height, clip.width) >= 64 and clip.frames >= 8:
            return None
        return (
            f"network '{self.name}' needs clips of at least 8 frames of 64x64, not {clip.frames} of "
            f"{clip.height}x{clip.width}; use --profile quick, or a dataset option such as [size=64]"
        )

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Multiply-adds of the three convolutions, twice; the head is negligible."""
        total, width_in, frames, side = 0.0, clip.channels, clip.frames, clip.height
        for width, pool_t in ((64, 1), (128, 2), (128, 2)):
            side = -(-side // 2)
            total += 2 * frames * side * side * width * width_in * 3 * 7 * 7
            side, frames, width_in = side // 2, frames // pool_t, width
        return total


@final
class SmallConvNet3DNetwork(Network):
    """A small ConvNet3D with instance norm (16-32-32, kernel 3), for clips of about 32 pixels on a CPU."""

    name = "convnet3d-small"
    channels_last = False

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips smaller than 2 frames of 16x16.
        """
        from bench.nets.convnet3d import SmallConvNet3D

        _require(self, clip)
        return SmallConvNet3D(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Clips smaller than 2 frames of 16x16."""
        if min(clip.height, clip.width) >= 16 and clip.frames >= 2:
            return None
        return f"network '{self.name}' needs clips of at least 2 frames of 16x16, not {clip.frames} of {clip.height}x{clip.width}"

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Multiply-adds of the three convolutions, twice."""
        half = clip.frames * -(-clip.height // 2) * -(-clip.width // 2)
        return 2.0 * 27 * (half * 16 * clip.channels + half / 4 * 32 * 16 + half / 16 * 32 * 32)


@final
class FrameMeanNetwork(Network):
    """A 2D ConvNet (3 blocks, width 128, instance norm) on each frame, averaged over time; on single frames the image ConvNet."""

    name = "cnn-mean"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: frames smaller than 8x8.
        """
        from bench.nets.convnet2d import FrameConvNet

        _require(self, clip)
        return FrameConvNet(classes, clip, 128, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Frames too small for three halvings."""
        return _small_frames(self, clip)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Multiply-adds of the three convolutions, twice."""
        return _frame_flops(clip, 128)


@final
class SmallFrameMeanNetwork(Network):
    """`cnn-mean` with a quarter of the width (32), for frames of about 32 pixels on a CPU."""

    name = "cnn-mean-small"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: frames smaller than 8x8.
        """
        from bench.nets.convnet2d import FrameConvNet

        _require(self, clip)
        return FrameConvNet(classes, clip, 32, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Frames too small for three halvings."""
        return _small_frames(self, clip)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Multiply-adds of the three convolutions, twice."""
        return _frame_flops(clip, 32)


def _require(network: Network, clip: ClipShape) -> None:
    reason = network.declines(clip)
    if reason is not None:
        raise BenchError(reason)


def _small_frames(network: Network, clip: ClipShape) -> str | None:
    if min(clip.height, clip.width) >= 8:
        return None
    return f"network '{network.name}' needs clips of at least 8x8 pixels, not {clip.height}x{clip.width}"


def _frame_flops(clip: ClipShape, width: int) -> float:
    pixels = clip.height * clip.width
    return 2.0 * 9 * clip.frames * width * (pixels * clip.channels + pixels / 4 * width + pixels / 16 * width)
