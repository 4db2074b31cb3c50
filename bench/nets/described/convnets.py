"""The field's own networks, described without torch; each loads its modules when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import ClipShape, Network
from bench.nets.sizes import at_least, require

if TYPE_CHECKING:
    from bench.core.classifier import Classifier


@final
class ConvNet3DNetwork(Network):
    """ConvNet3D as published (3 blocks, 64-128-128, kernel 3x7x7, no norm); for clips of 64 pixels and more."""

    name = "convnet3d"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.convnet3d import ConvNet3D

        require(self, clip)
        return ConvNet3D(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # It halves height and width seven times.
        return at_least(self, clip, 8, 64, "; use --profile quick, or a dataset option such as [size=64]")


@final
class SmallConvNet3DNetwork(Network):
    """A small ConvNet3D with instance norm (16-32-32, kernel 3), for clips of about 32 pixels on a CPU."""

    name = "convnet3d-small"
    channels_last = False

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.convnet3d import SmallConvNet3D

        require(self, clip)
        return SmallConvNet3D(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        return at_least(self, clip, 2, 16)


@final
class FrameMeanNetwork(Network):
    """A 2D ConvNet (3 blocks, width 128, instance norm) on each frame, averaged over time; on single frames the image ConvNet."""

    name = "cnn-mean"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.convnet2d import FrameConvNet

        require(self, clip)
        return FrameConvNet(classes, clip, 128, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        return _small_frames(self, clip)


@final
class SmallFrameMeanNetwork(Network):
    """`cnn-mean` with a quarter of the width (32), for frames of about 32 pixels on a CPU."""

    name = "cnn-mean-small"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.convnet2d import FrameConvNet

        require(self, clip)
        return FrameConvNet(classes, clip, 32, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        return _small_frames(self, clip)


def _small_frames(network: Network, clip: ClipShape) -> str | None:
    """Why frames are declined that three halvings would leave nothing of."""
    if min(clip.height, clip.width) >= 8:
        return None
    return f"network '{network.name}' needs clips of at least 8x8 pixels, not {clip.height}x{clip.width}"
