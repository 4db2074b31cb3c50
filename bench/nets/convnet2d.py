"""The image network of the field, a 2D ConvNet, run on each frame of a clip; what it sees in the frames is averaged over time."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from typing_extensions import override

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.core.repeated_frames import repeats_one_frame
from bench.nets.layers import Conv2d, GroupNorm, Linear, initialise


@final
class FrameConvNet(Classifier):
    """Three blocks of Conv2d (k 3), instance norm, ReLU, average pool (2, 2); a linear layer reads the flattened maps.

    The "ConvNet" of image distillation (Gidaris & Komodakis 2018, as used by Zhao et al. 2021); on one frame it is exactly
    that. On a clip it is the video papers' CNN with a mean over time (Wang et al. 2024).
    """

    def __init__(self, classes: int, clip: ClipShape, width: int, rng: torch.Generator) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        width_in = clip.channels
        for _ in range(3):
            norm = GroupNorm(width, width)  # one group a channel: instance norm
            blocks += [Conv2d(width_in, width, 3, padding=1), norm, nn.ReLU(inplace=True), nn.AvgPool2d(2)]
            width_in = width
        self.stack = nn.Sequential(*blocks)
        self.head = Linear(width * (clip.height // 8) * (clip.width // 8), classes)
        initialise(self, rng)

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, T * width * H/8 * W/8)``: the maps of every frame, flattened."""
        return self._maps(clips).flatten(1)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, width * H/8 * W/8)``: the maps averaged over frames, flattened."""
        return self._maps(clips).mean(dim=1).flatten(1)

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(clips))  # type: ignore[no-any-return]

    def _maps(self, clips: torch.Tensor) -> torch.Tensor:
        if repeats_one_frame(clips):
            return self._maps(clips[:, :, :1]).expand(-1, clips.shape[2], -1, -1, -1)
        images = clips.transpose(1, 2).flatten(0, 1)
        return self.stack(images).unflatten(0, (clips.shape[0], clips.shape[2]))  # type: ignore[no-any-return]
