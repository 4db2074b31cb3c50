"""Networks to judge sets on that were distilled with another one, described without torch; see `bench.nets.described.convnets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from bench.api import ClipShape, Network
from bench.core.errors import BenchError
from bench.nets import flops as operations

if TYPE_CHECKING:
    from bench.core.classifier import Classifier

_WIDTH = 128


@final
class FrameGRUNetwork(Network):
    """CNN+GRU as published: a 2D ConvNet (3 blocks, width 128) on the 64x64 centre of each frame, a GRU over time."""

    name = "cnn-gru"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: frames smaller than 8x8.
        """
        from bench.nets.recurrent import FrameRecurrentNet

        _require(self, clip)
        return FrameRecurrentNet(classes, clip, _WIDTH, "gru", rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Frames too small for three halvings."""
        return _least(self, clip, 1, 8)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of the convolutions and the recurrent layer."""
        convolutions, inputs = _encoder(clip)
        return convolutions + operations.recurrent(clip.frames, inputs, inputs // 8, 3)


@final
class FrameLSTMNetwork(Network):
    """CNN+LSTM as published: a 2D ConvNet (3 blocks, width 128) on the 64x64 centre of each frame, an LSTM over time."""

    name = "cnn-lstm"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network. It has 537 million parameters for frames of 64x64 and more, as published.

        Raises:
            BenchError: frames smaller than 8x8.
        """
        from bench.nets.recurrent import FrameRecurrentNet

        _require(self, clip)
        return FrameRecurrentNet(classes, clip, _WIDTH, "lstm", rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Frames too small for three halvings."""
        return _least(self, clip, 1, 8)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of the convolutions and the recurrent layer."""
        convolutions, inputs = _encoder(clip)
        return convolutions + operations.recurrent(clip.frames, inputs, inputs, 4)


@final
class X3DNetwork(Network):
    """X3D-XS of PyTorchVideo, from scratch; 3.8 million parameters at 400 classes."""

    name = "x3d_xs"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small.
        """
        from bench.nets.pytorchvideo_models import x3d_xs

        _require(self, clip)
        return x3d_xs(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Clips of which its five halvings leave a single number a channel, which cannot be normalised."""
        return _least(self, clip, 2, 32)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of its convolutions and linear layers."""
        return operations.x3d_xs(clip, classes)


@final
class SlowNetwork(Network):
    """Slow R50 of PyTorchVideo, from scratch; 32 million parameters."""

    name = "slow_r50"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small.
        """
        from bench.nets.pytorchvideo_models import slow_r50

        _require(self, clip)
        return slow_r50(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """As for `X3DNetwork`."""
        return _least(self, clip, 2, 32)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of its convolutions and linear layers."""
        return operations.resnet50(clip, classes, 49, True, (1, 1, 3, 3), "plane", (1, 2, 2, 2), (1, 1, 1, 1))


@final
class R2Plus1DNetwork(Network):
    """R(2+1)D R50 of PyTorchVideo, from scratch, its last pool over all that is left; 28 million parameters."""

    name = "r2plus1d_r50"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small.
        """
        from bench.nets.pytorchvideo_models import r2plus1d_r50

        _require(self, clip)
        return r2plus1d_r50(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """As for `X3DNetwork`; time is halved twice."""
        return _least(self, clip, 5, 32)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of its convolutions and linear layers."""
        return operations.resnet50(clip, classes, 49, False, (1, 1, 1, 1), "split", (2, 2, 2, 2), (1, 1, 2, 2))


@final
class CSNNetwork(Network):
    """ir-CSN-50 of PyTorchVideo, from scratch, without a pool in the stem; 12 million parameters."""

    name = "csn"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small.
        """
        from bench.nets.pytorchvideo_models import csn_r50

        _require(self, clip)
        return csn_r50(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """As for `X3DNetwork`, though space is halved four times only."""
        return _least(self, clip, 1, 32)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of its convolutions and linear layers."""
        return operations.resnet50(clip, classes, 3 * 49, False, (1, 1, 1, 1), "separate", (1, 2, 2, 2), (1, 2, 2, 2))


@final
class MViTNetwork(Network):
    """MViT-B 16x4 of PyTorchVideo, from scratch; 36 million parameters."""

    name = "mvit"

    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A new network.

        Raises:
            BenchError: clips too small, or not made of whole patches.
        """
        from bench.nets.pytorchvideo_models import mvit_b

        _require(self, clip)
        return mvit_b(classes, clip, rng)

    def declines(self, clip: ClipShape) -> str | None:
        """Clips too small for its three halvings of 4x4 patches, or that do not divide into patches of 2 frames of 4x4."""
        if clip.frames % 2 or clip.height % 4 or clip.width % 4:
            return (
                f"network '{self.name}' needs clips of at least 2 frames of 32x32, in whole patches of 2 frames of 4x4, not "
                f"{clip.frames} of {clip.height}x{clip.width}"
            )
        return _least(self, clip, 2, 32)

    def flops(self, classes: int, clip: ClipShape) -> float:
        """Of its convolutions, linear layers and attention."""
        return operations.mvit_b(clip, classes)


def _require(network: Network, clip: ClipShape) -> None:
    reason = network.declines(clip)
    if reason is not None:
        raise BenchError(reason)


def _least(network: Network, clip: ClipShape, frames: int, side: int) -> str | None:
    if clip.frames >= frames and min(clip.height, clip.width) >= side:
        return None
    plural = "s" if frames > 1 else ""
    return (
        f"network '{network.name}' needs clips of at least {frames} frame{plural} of {side}x{side}, not {clip.frames} of "
        f"{clip.height}x{clip.width}"
    )


def _encoder(clip: ClipShape) -> tuple[float, int]:
    """Operations of the frame encoder, and the numbers that it gives a frame."""
    height, width = min(clip.height, 64), min(clip.width, 64)
    total, channels = 0.0, clip.channels
    for _ in range(3):
        total += operations.conv((clip.frames, height, width), channels, _WIDTH, 9)
        channels, height, width = _WIDTH, height // 2, width // 2
    return total, _WIDTH * height * width
