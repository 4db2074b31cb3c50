"""Convolutional stacks on clips that repeat one frame: of the T equal frames only those are computed whose maps differ.

Padding over time makes the maps of such a clip differ at its two ends alone: after m convolutions (kernel 3) in the first m and
the last m frames, and all between are equal. So 2m + 1 frames are enough, and three layers of the small network cost a quarter
of what T = 16 frames cost. The results are those of the whole clip, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from bench.nets.layers import HalvingMaxPool


@final
@dataclass(frozen=True)
class _Run:
    """Maps over time, of which those in the middle are equal.

    Attributes:
        maps: ``(B, C, 2 * edge + 1, H, W)``: ``edge`` frames at each end, and between them the one that all others equal.
        edge: see there.
        frames: how many it stands for.
    """

    maps: torch.Tensor
    edge: int
    frames: int

    def whole(self) -> torch.Tensor:
        """``(B, C, frames, H, W)``."""
        return self.widened(self.edge, self.frames - 2 * self.edge)

    def widened(self, edge: int, between: int) -> torch.Tensor:
        """The maps with ``edge`` frames at each end, no fewer than there are, and ``between`` equal ones."""
        first, middle, last = torch.split_with_sizes(self.maps, [self.edge, 1, self.edge], dim=2)
        more = edge - self.edge
        return torch.cat([first, middle.expand(-1, -1, between + 2 * more, -1, -1), last], dim=2)


def through(stack: nn.Sequential, frame: torch.Tensor, frames: int) -> torch.Tensor:
    """What ``stack`` puts out for the clip that shows one frame all the time, ``(B, C', T', H', W')``.

    Args:
        stack: convolutions (stride 1 over time, padded to keep its length), instance norms, max-pools of 1 or 2 frames, ReLU.
        frame: ``(B, C, 1, H, W)``.
        frames: T.

    Raises:
        TypeError: a layer of another kind.
    """
    run = _Run(frame, 0, frames)
    for position, layer in enumerate(stack):
        after = _after(run, layer)
        if after is None:  # the ends meet: there is nothing to be saved from here on
            rest: torch.Tensor = stack[position:](run.whole())
            return rest
        run = after
    return run.whole()


def _after(run: _Run, layer: nn.Module) -> _Run | None:
    """The run after a layer, or None where its ends meet."""
    if isinstance(layer, nn.ReLU):
        return _Run(layer(run.maps), run.edge, run.frames)
    if isinstance(layer, nn.GroupNorm):
        return _Run(_normed(run, layer), run.edge, run.frames)
    if isinstance(layer, nn.Conv3d):
        return _convolved(run, layer)
    if isinstance(layer, HalvingMaxPool):
        return _pooled(run, layer, layer.window[0])
    if isinstance(layer, nn.MaxPool3d) and isinstance(layer.kernel_size, tuple):
        return _pooled(run, layer, layer.kernel_size[0])
    raise TypeError(f"what {type(layer).__name__} makes of clips that stand still is not known here")


def _convolved(run: _Run, layer: nn.Conv3d) -> _Run | None:
    reach = layer.kernel_size[0] // 2
    if layer.stride[0] != 1 or layer.padding[0] != reach:
        raise TypeError("only convolutions that keep the length of clips are known here")
    edge = run.edge + reach
    if 2 * edge + 1 >= run.frames:
        return None
    return _Run(layer(run.widened(edge, 1)), edge, run.frames)


def _pooled(run: _Run, layer: nn.Module, window: int) -> _Run | None:
    if window == 1:
        return _Run(layer(run.maps), run.edge, run.frames)
    edge = -(-run.edge // 2)
    if window != 2 or run.frames % 2 or 2 * edge + 1 >= run.frames // 2:
        return None
    return _Run(layer(run.widened(2 * edge, 2)), edge, run.frames // 2)


def _normed(run: _Run, layer: nn.GroupNorm) -> torch.Tensor:
    """Instance norm, by the mean and variance of all frames that the run stands for."""
    if layer.num_groups != layer.num_channels:
        raise TypeError("only norms with a group a channel are known here")
    maps = run.maps.to(torch.promote_types(run.maps.dtype, torch.float32))  # as autocast does
    share = torch.full((maps.shape[2],), 1 / run.frames, dtype=maps.dtype, device=maps.device)
    share[run.edge] *= run.frames - 2 * run.edge
    share = share.view(1, 1, -1, 1, 1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (values.mean(dim=(3, 4), keepdim=True) * share).sum(dim=2, keepdim=True)

    centred = maps - mean(maps)
    scale = (mean(centred.square()) + layer.eps).rsqrt()
    if layer.affine:
        scale = scale * layer.weight.view(1, -1, 1, 1, 1)
        return centred * scale + layer.bias.view(1, -1, 1, 1, 1)
    return centred * scale
