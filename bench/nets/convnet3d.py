"""The 3D convolutional networks of the field: ConvNet3D as published, and a small normalised one for tiny clips."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from typing_extensions import override

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.core.repeated_frames import repeats_one_frame
from bench.nets.layers import Conv3d, GroupNorm, HalvingMaxPool, Linear, SeededDropout, initialise
from bench.nets.repeated_frames import through
from bench.nets.stem import Stem

# How many numbers of clips pass the small network at a time where no gradient is kept. They are so few that on a CPU the output of one
# layer is still in the cache when the next reads it, which is up to twice as fast. Results are the same to the bit for clips of
# 8x32x32, elsewhere to rounding (oneDNN chooses its algorithm by the size of the batch).
_PIECE = 1 << 20


@final
class ConvNet3D(Classifier):
    """ConvNet3D of the video distillation papers (Wang et al. 2024), as its public code builds it.

    Three blocks of Conv3d(k (3,7,7), stride (1,2,2), pad (1,3,3)), ReLU, max-pool ((1,2,2), then (2,2,2) twice), widths
    64, 128, 128, no norm; average pool (2,2,2) with stride 1 ((2,1,1) where the map is one pixel wide, as for 64-pixel clips);
    dropout 0.5; a 1x1x1 convolution to the classes; maximum over time (and over what is left of space).
    3,647,666 parameters at 50 classes.
    """

    def __init__(self, classes: int, clip: ClipShape, rng: torch.Generator) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        width_in = clip.channels
        for width, pool in ((64, (1, 2, 2)), (128, (2, 2, 2)), (128, (2, 2, 2))):
            kernel = (3, 7, 7)
            first = width_in == clip.channels
            conv = Stem(width_in, width, kernel) if first else Conv3d(width_in, width, kernel, (1, 2, 2), (1, 3, 3))
            # The maximum first: ReLU then has a quarter or an eighth of the work, and all is the same to the bit.
            blocks += [conv, nn.MaxPool3d(pool, pool), nn.ReLU(inplace=True)]
            width_in = width
        self.stack = nn.Sequential(*blocks)
        side = stack_output(clip)[1]
        self.pool = nn.AvgPool3d((2, 2, 2) if side > 1 else (2, 1, 1), stride=1)
        self.dropout = SeededDropout(0.5, rng)
        self.head = Conv3d(128, classes, 1)
        initialise(self, rng)

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, 128 * T' * H' * W')``: the convolutional stack, flattened, before pooling."""
        return self._maps(clips).flatten(1)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, 128 * T')``: the pooled maps, flattened."""
        return self.pool(self._maps(clips)).flatten(1)  # type: ignore[no-any-return]

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        maps = self.head(self.dropout(self.pool(self._maps(clips))))
        return maps.flatten(2).amax(dim=2)  # type: ignore[no-any-return]

    def _maps(self, clips: torch.Tensor) -> torch.Tensor:
        if repeats_one_frame(clips):
            return through(self.stack, _one_frame(clips, torch.channels_last_3d), clips.shape[2])
        # Channels-last is 1.4 times as fast here, and is how clips lie in the store.
        return self.stack(clips.contiguous(memory_format=torch.channels_last_3d))  # type: ignore[no-any-return]


@final
class SmallConvNet3D(Classifier):
    """Three Conv3d layers of 16, 32, 32 channels with instance norm, for clips of about 32 pixels on a CPU.

    Instance norm (GroupNorm with one group a channel) because without it trainings on a handful of clips often never leave
    chance. Time keeps its full length, space is halved by the first stride and by two max-pools (means would not do: an
    instance norm fixes them); a linear layer reads the mean over time and space, so that what moves is recognised wherever
    it is.
    """

    def __init__(self, classes: int, clip: ClipShape, rng: torch.Generator) -> None:
        super().__init__()
        self.stack = nn.Sequential(
            Stem(clip.channels, 16, (3, 3, 3)), GroupNorm(16, 16),
            HalvingMaxPool(), nn.ReLU(inplace=True),  # in this order a quarter of the work, and the same to the bit
            Conv3d(16, 32, 3, padding=1), GroupNorm(32, 32),
            HalvingMaxPool(), nn.ReLU(inplace=True),
            Conv3d(32, 32, 3, padding=1), GroupNorm(32, 32), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.pool = HalvingMaxPool(time=2)
        self.head = Linear(32, classes)
        initialise(self, rng)

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, 32 * T * H/8 * W/8)``: the convolutional stack, flattened, before pooling."""
        return self._maps(clips).flatten(1)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, 32)``: the mean of the pooled maps over time and space."""
        return self.pool(self._maps(clips)).mean(dim=(2, 3, 4))  # type: ignore[no-any-return]

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(clips))  # type: ignore[no-any-return]

    def _maps(self, clips: torch.Tensor) -> torch.Tensor:
        if repeats_one_frame(clips):
            return through(self.stack, _one_frame(clips, torch.contiguous_format), clips.shape[2])
        clips = clips.contiguous()  # with so few channels the plain layout is the faster one, forward and backward
        if torch.is_grad_enabled() or clips.device.type != "cpu":
            return self.stack(clips)  # type: ignore[no-any-return]
        pieces: tuple[torch.Tensor, ...] = torch.split(clips, max(1, _PIECE // clips[:1].numel()))
        return torch.cat([self.stack(piece) for piece in pieces])


def _one_frame(clips: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    return clips[:, :, :1].contiguous(memory_format=layout)


def stack_output(clip: ClipShape) -> tuple[int, int]:
    """Frames and pixels of a side after ConvNet3D's convolutional stack."""
    frames, side = clip.frames, min(clip.height, clip.width)
    for pool_t in (1, 2, 2):
        side = ((side - 1) // 2 + 1) // 2
        frames //= pool_t
    return frames, side
