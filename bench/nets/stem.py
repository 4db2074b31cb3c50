"""The first convolution of a video network, three colours in and half the height and width out, with a fast gradient in the clips.

Matching learns clips, so every step needs that gradient. PyTorch's takes two to six times the forward pass where a convolution has
a stride and so few channels. But the pixels of one phase (even or odd row, even or odd column) are all reached
through the same part of the kernel. So the gradient is an ordinary convolution of what comes from above to four phases of three
colours, on the small grid, whose channels are then dealt out to the pixels: the same sums, at the speed of a forward pass.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn
from typing_extensions import override

from bench.core.upload import upload
from bench.nets.layers import Conv3d

_STRIDE = (1, 2, 2)


@final
class Stem(Conv3d):
    """``nn.Conv3d`` with stride (1, 2, 2), clips keep their length. Its gradient is fast on a CPU with fixed weights and even sides."""

    def __init__(self, channels: int, width: int, kernel: tuple[int, int, int]) -> None:
        time, height, across = kernel
        super().__init__(channels, width, kernel, _STRIDE, (time // 2, height // 2, across // 2))

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        even = clips.shape[3] % 2 == 0 and clips.shape[4] % 2 == 0
        unsuited = clips.device.type != "cpu" or clips.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        # Where weights need gradients, too, gradients are differentiated again: there PyTorch's own are faster.
        if unsuited or not even or not clips.requires_grad or self.weight.requires_grad:
            return super().forward(clips)
        maps: torch.Tensor = _Convolution.apply(clips, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return maps


class _Convolution(torch.autograd.Function):
    """The convolution with weights that are fixed; its gradient is made of operations that can be differentiated again."""

    @staticmethod
    def forward(clips: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv3d(clips, weight, bias, _STRIDE, _padding(weight))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return clip_gradient(above, ctx.saved_tensors[0]), None, None


def clip_gradient(above: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient in the clips, ``(B, C, T, 2h, 2w)``.

    Args:
        above: ``(B, O, T, h, w)``, the gradient in what the convolution puts out.
        weight: ``(O, C, t, k, k)`` of the convolution; k odd.
    """
    kernel, before, after = _by_phase(weight)
    batch, _, frames, height, width = above.shape
    # Channels last, as the convolution is then twice as fast; zeros all around, by one copy.
    room = above.new_zeros(batch, frames, height + before + after, width + before + after, len(weight))
    room[:, :, before : before + height, before : before + width] = above.permute(0, 2, 3, 4, 1)
    kernel = kernel.contiguous(memory_format=torch.channels_last_3d)
    phases = nn.functional.conv3d(room.permute(0, 4, 1, 2, 3), kernel, padding=(weight.shape[2] // 2, 0, 0))
    dealt = phases.view(batch, 2, 2, weight.shape[1], frames, height, width).permute(0, 3, 4, 5, 1, 6, 2)
    return dealt.reshape(batch, weight.shape[1], frames, 2 * height, 2 * width)


def _by_phase(weight: torch.Tensor) -> tuple[torch.Tensor, int, int]:
    """The kernel ``(4 * C, O, t, n, n)`` from what comes from above to the phases, and how far it reaches back and ahead.

    With padding p, output row o sees pixel row 2q + r through kernel row r + p - 2 (o - q). For each phase r these are every
    second row of the kernel, from the last to the first; the other phase's are shifted by one, so zeros fill up.
    """
    outputs, channels, time, side, _ = weight.shape
    padding = side // 2
    before, after = padding // 2, (padding + 1) // 2
    steps = range(-before, after + 1)
    weight = nn.functional.pad(weight.flip(2), (1, 1, 1, 1))  # a frame of zeros, for what a phase does not reach
    index = [[min(max(r + padding - 2 * step, -1), side) + 1 for step in steps] for r in (0, 1)]
    places = upload(torch.tensor(index), weight.device).flatten()
    taken = weight.index_select(3, places).index_select(4, places)
    taken = taken.view(outputs, channels, time, 2, len(steps), 2, len(steps)).permute(3, 5, 1, 0, 2, 4, 6)
    return taken.reshape(4 * channels, outputs, time, len(steps), len(steps)), before, after


def _padding(weight: torch.Tensor) -> list[int]:
    return [size // 2 for size in weight.shape[2:]]
