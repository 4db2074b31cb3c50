"""Networks for judging sets that were distilled with another one, described without torch: recurrent ones and PyTorchVideo's."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import ClipShape, Network
from bench.nets.sizes import at_least, require

if TYPE_CHECKING:
    from bench.core.classifier import Classifier

_WIDTH = 128


@final
class FrameGRUNetwork(Network):
    """CNN+GRU as published: a 2D ConvNet (3 blocks, width 128) on the 64x64 centre of each frame, a GRU over time."""

    name = "cnn-gru"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.recurrent import FrameRecurrentNet

        require(self, clip)
        return FrameRecurrentNet(classes, clip, _WIDTH, "gru", rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        return at_least(self, clip, 1, 8)  # three halvings


@final
class FrameLSTMNetwork(Network):
    """CNN+LSTM as published: a 2D ConvNet (3 blocks, width 128) on the 64x64 centre of each frame, an LSTM over time."""

    name = "cnn-lstm"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.recurrent import FrameRecurrentNet

        require(self, clip)
        return FrameRecurrentNet(classes, clip, _WIDTH, "lstm", rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        return at_least(self, clip, 1, 8)  # three halvings


@final
class X3DNetwork(Network):
    """X3D-XS of PyTorchVideo, from scratch; 3.8 million parameters at 400 classes."""

    name = "x3d_xs"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.pytorchvideo_models import x3d_xs

        require(self, clip)
        return x3d_xs(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # Five halvings would leave a single number a channel, which cannot be normalised.
        return at_least(self, clip, 2, 32)


@final
class SlowNetwork(Network):
    """Slow R50 of PyTorchVideo, from scratch; 32 million parameters."""

    name = "slow_r50"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.pytorchvideo_models import slow_r50

        require(self, clip)
        return slow_r50(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # As for X3D.
        return at_least(self, clip, 2, 32)


@final
class R2Plus1DNetwork(Network):
    """R(2+1)D R50 of PyTorchVideo, from scratch, its last pool over all that is left; 28 million parameters."""

    name = "r2plus1d_r50"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.pytorchvideo_models import r2plus1d_r50

        require(self, clip)
        return r2plus1d_r50(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # As for X3D; time, too, is halved, twice.
        return at_least(self, clip, 5, 32)


@final
class CSNNetwork(Network):
    """ir-CSN-50 of PyTorchVideo, from scratch, without a pool in the stem; 12 million parameters."""

    name = "csn"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.pytorchvideo_models import csn_r50

        require(self, clip)
        return csn_r50(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # As for X3D, though space is halved four times only.
        return at_least(self, clip, 1, 32)


@final
class MViTNetwork(Network):
    """MViT-B 16x4 of PyTorchVideo, from scratch; 36 million parameters."""

    name = "mvit"

    @override
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        from bench.nets.pytorchvideo_models import mvit_b

        require(self, clip)
        return mvit_b(classes, clip, rng)

    @override
    def declines(self, clip: ClipShape) -> str | None:
        # Patches of 2 frames of 4x4, which are halved three times.
        if clip.frames % 2 or clip.height % 4 or clip.width % 4:
            return (
                f"network '{self.name}' needs clips of at least 2 frames of 32x32, in whole patches of 2 frames of 4x4, not "
                f"{clip.frames} of {clip.height}x{clip.width}"
            )
        return at_least(self, clip, 2, 32)
