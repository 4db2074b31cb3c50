"""Layers of the suite: they draw from a named generator, never from the global one. And a max-pool that is fast on CPUs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, final

import torch
from torch import nn
from typing_extensions import override

from bench.core.upload import upload
from bench.nets import counter

if TYPE_CHECKING:
    from bench.api import ClipShape, Network
    from bench.core.classifier import Classifier

_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)

_DEVICE: ContextVar[torch.device] = ContextVar("device")
"""The device that `initialise` draws on; the CPU if unset. `build_on` sets it, because a plugin's network knows no device."""


class _Undrawn:
    """A layer whose weights stay uninitialised until `initialise` draws them. PyTorch would draw them from its global generator."""

    def reset_parameters(self) -> None:
        """Does nothing."""


class Conv2d(_Undrawn, nn.Conv2d):
    """``nn.Conv2d`` for networks that `initialise` draws."""


class Conv3d(_Undrawn, nn.Conv3d):
    """``nn.Conv3d`` for networks that `initialise` draws."""


@final
class Linear(_Undrawn, nn.Linear):
    """``nn.Linear`` for networks that `initialise` draws."""


@final
class GroupNorm(_Undrawn, nn.GroupNorm):
    """``nn.GroupNorm`` for networks that `initialise` draws."""


@final
class SeededDropout(nn.Module):
    """Dropout with its own generator (one per network), on the CPU so that every device draws the same masks.

    It draws from a sequence, not by a counter: a batch that is cut up then draws what it would draw in one piece.
    """

    def __init__(self, p: float, rng: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.rng = rng

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zeroes each value with probability ``p`` and scales the rest by ``1 / (1 - p)``; identity in evaluation."""
        if not self.training or self.p == 0:
            return x
        keep = upload(torch.rand(x.shape, generator=self.rng), x.device) >= self.p
        return x * keep / (1 - self.p)


@final
class HalvingMaxPool(nn.Module):
    """Max-pool of ``(1, 2, 2)`` or ``(2, 2, 2)`` values of ``(B, C, T, H, W)``; what is left over at an odd end is dropped.

    Outputs and gradients are those of ``nn.MaxPool3d`` to the bit (of equal values the first counts). On a CPU that one compares
    number by number. Comparing whole slices, two at a time, takes half its time without gradients and two thirds with them.
    """

    def __init__(self, time: int = 1) -> None:
        super().__init__()
        self.window = (time, 2, 2)

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The largest value of each window."""
        if x.device.type != "cpu" or not x.is_contiguous():
            return nn.functional.max_pool3d(x, self.window)
        if torch.is_grad_enabled() and x.requires_grad:
            pooled: torch.Tensor = _FirstMax.apply(x, self.window)[0]  # type: ignore[no-untyped-call]
            return pooled
        frames, height, width = (size // 2 * 2 for size in x.shape[2:])
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        area = torch.maximum(rows[..., 0::2], rows[..., 1::2])
        return area if self.window[0] == 1 else torch.maximum(area[:, :, 0:frames:2], area[:, :, 1:frames:2])


class _FirstMax(torch.autograd.Function):
    """The pooling with its gradient, which goes to the first largest value of each window (in the order of memory)."""

    @staticmethod
    def forward(x: torch.Tensor, window: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The pooled values, and the place of each in its map ``(T, H, W)``, int64."""
        frames, height, width = (size // 2 * 2 for size in x.shape[2:])
        left, right = x[..., :height, 0:width:2], x[..., :height, 1:width:2]
        rows, is_right = torch.maximum(left, right), right > left
        upper, lower = rows[..., 0::2, :], rows[..., 1::2, :]
        pooled, is_lower = torch.maximum(upper, lower), lower > upper
        upper_right, lower_right = is_right[..., 0::2, :], is_right[..., 1::2, :]
        chosen_right = upper_right ^ (is_lower & (upper_right ^ lower_right))  # torch.where is slow on booleans
        first = torch.arange(x[0, 0].numel(), device=x.device).view(x.shape[2:])[:, 0:height:2, 0:width:2]
        # In 16 bits, which no row of a map exceeds: a fifth of the whole is saved over sums of 64 bits.
        place = first + (chosen_right.short() + is_lower.short() * x.shape[4])
        if window[0] == 2:
            before, after = pooled[:, :, 0:frames:2], pooled[:, :, 1:frames:2]
            place_before, place_after = place[:, :, 0:frames:2], place[:, :, 1:frames:2]
            place = place_before + (after > before) * (place_after - place_before)
            pooled = torch.maximum(before, after)
        return pooled, place

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.window = inputs
        ctx.shape = x.shape
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, None]:
        """PyTorch's own, which is fast and can itself be differentiated."""
        like = gradient.new_empty(()).expand(ctx.shape)  # only its shape is read
        window = list(ctx.window)
        return torch.ops.aten.max_pool3d_with_indices_backward(
            gradient, like, window, window, [0, 0, 0], [1, 1, 1], False, ctx.saved_tensors[0]
        ), None


def build_on(
    device: torch.device, kind: Network, classes: int, clip: ClipShape, rng: torch.Generator
) -> Classifier:  # fmt: skip
    """A new network of that kind on a device, where `initialise` also draws it."""
    before = _DEVICE.set(device)
    try:
        return kind.build(classes, clip, rng).to(device)
    finally:
        _DEVICE.reset(before)


def initialise(module: nn.Module, rng: torch.Generator) -> None:
    """Draws every weight of ``module``, with PyTorch's default distributions, in definition order.

    One number of ``rng`` is the key of all of them (`bench.nets.counter`), so that every device draws the same ones.
    The module must be made of this file's layers, or be built on the meta device: nothing was drawn yet in either. It ends on the
    device that `build_on` was asked for, else on the CPU.

    Convolutions and linear layers: uniform within ``1 / sqrt(fan_in)`` for weights and biases (Kaiming with a = sqrt 5);
    recurrent layers: uniform within ``1 / sqrt(hidden)``; norms: ones and zeros.

    Raises:
        TypeError: a layer with parameters whose initialisation is not known here.
    """
    device = _DEVICE.get(torch.device("cpu"))
    bounded: list[tuple[nn.Parameter, float]] = []
    for layer in module.modules():
        _empty(layer, device)
        own = list(layer.parameters(recurse=False))
        if not own:
            continue
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            bounded += [(parameter, bound) for parameter in own]
        elif isinstance(layer, nn.RNNBase):
            bounded += [(parameter, 1 / math.sqrt(layer.hidden_size)) for parameter in own]
        elif isinstance(layer, _NORMS):
            with torch.no_grad():
                layer.weight.fill_(1.0)
                layer.bias.fill_(0.0)
            if isinstance(layer, nn.modules.batchnorm._NormBase):
                layer.reset_running_stats()
        else:
            raise TypeError(f"no initialisation known for {type(layer).__name__}")
    _draw(bounded, counter.key(rng), device)


def _empty(layer: nn.Module, device: torch.device) -> None:
    """Makes room on that device for the tensors that a layer itself holds."""
    if isinstance(layer, nn.RNNBase):
        layer.to_empty(device=device)  # which on a GPU also lays its weights side by side
        return
    for name, parameter in layer.named_parameters(recurse=False):
        if parameter.device != device:
            setattr(layer, name, nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype, device=device)))
    for name, buffer in layer.named_buffers(recurse=False):
        if buffer.device != device:
            setattr(layer, name, torch.empty(buffer.shape, dtype=buffer.dtype, device=device))


def _draw(bounded: Sequence[tuple[nn.Parameter, float]], key: int, device: torch.device) -> None:
    """Fills each parameter with numbers within its bound: one sequence for all of them."""
    numbers = counter.symmetric(key, sum(parameter.numel() for parameter, _ in bounded), device)
    parts = torch.split_with_sizes(numbers, [parameter.numel() for parameter, _ in bounded])
    with torch.no_grad():
        for (parameter, bound), part in zip(bounded, parts, strict=True):
            torch.mul(part.view(parameter.shape), bound, out=parameter)
