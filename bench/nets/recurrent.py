"""The recurrent networks of the video papers: a 2D ConvNet on each frame, a GRU or LSTM over time."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from typing_extensions import override

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.nets.layers import initialise

CROP = 64
"""Pixels of a side from which frames are cut down to their centre, as the published code feeds these networks."""

GRU_SHARE = 8
"""A GRU has that fraction of its inputs as units; an LSTM as many as inputs."""


@final
class FrameRecurrentNet(Classifier):
    """CNN+GRU and CNN+LSTM of the video distillation papers (Wang et al. 2024), as their public code builds them.

    Each frame's centre of at most 64x64 pixels goes through three blocks of Conv2d (k 3, width 128), instance norm, ReLU,
    average pool (2, 2). The flattened maps, F numbers a frame, are read by one recurrent layer: a GRU of F / 8 units or an
    LSTM of F. A linear layer reads the mean of its outputs over time.

    Args:
        classes, clip: see `Network`.
        width: channels of the frame encoder.
        cell: ``gru`` or ``lstm``.
        rng: every weight is drawn from it.
    """

    def __init__(self, classes: int, clip: ClipShape, width: int, cell: str, rng: torch.Generator) -> None:
        super().__init__()
        self.height, self.width = min(clip.height, CROP), min(clip.width, CROP)
        with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
            blocks: list[nn.Module] = []
            width_in = clip.channels
            for _ in range(3):
                norm = nn.GroupNorm(width, width)  # one group a channel: instance norm
                blocks += [nn.Conv2d(width_in, width, 3, padding=1), norm, nn.ReLU(inplace=True), nn.AvgPool2d(2)]
                width_in = width
            self.stack = nn.Sequential(*blocks)
            inputs = width * (self.height // 8) * (self.width // 8)
            units = inputs // GRU_SHARE if cell == "gru" else inputs
            self.recurrent = (nn.GRU if cell == "gru" else nn.LSTM)(inputs, units, batch_first=True)
            self.head = nn.Linear(units, classes)
        initialise(self, rng)

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, T * F)``: the maps of every frame, flattened."""
        return self._frames(clips).flatten(1)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, units)``: the outputs of the recurrent layer, averaged over time."""
        outputs: torch.Tensor = self.recurrent(self._frames(clips))[0]
        return outputs.mean(dim=1)

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(clips))  # type: ignore[no-any-return]

    def _frames(self, clips: torch.Tensor) -> torch.Tensor:
        """``(B, T, F)``: the maps of each frame, flattened."""
        top, left = (clips.shape[3] - self.height) // 2, (clips.shape[4] - self.width) // 2
        cut = clips[:, :, :, top : top + self.height, left : left + self.width]
        images = cut.transpose(1, 2).flatten(0, 1)
        return self.stack(images).flatten(1).unflatten(0, (clips.shape[0], clips.shape[2]))  # type: ignore[no-any-return]
