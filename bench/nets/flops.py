"""Floating-point operations of the zoo's networks by arithmetic, for the plan, which loads no torch. A multiply-add is two."""

from __future__ import annotations

from collections.abc import Sequence

from bench.api import ClipShape

Size = tuple[int, int, int]
"""Frames, height, width."""


def strided(size: Size, stride: Size) -> Size:
    """The size after a padded convolution or pool."""
    frames, height, width = (-(-side // step) for side, step in zip(size, stride, strict=True))
    return frames, height, width


def conv(size: Size, inputs: int, outputs: int, kernel: int) -> float:
    """A convolution with outputs of that size: ``inputs`` channels that each output reads, ``kernel`` places."""
    return 2.0 * size[0] * size[1] * size[2] * inputs * outputs * kernel


def recurrent(frames: int, inputs: int, units: int, gates: int) -> float:
    """A recurrent layer over time."""
    return 2.0 * frames * gates * units * (inputs + units)


def resnet50(
    clip: ClipShape,
    classes: int,
    stem: int,
    pooled: bool,
    first: Sequence[int],
    middle: str,
    space: Sequence[int],
    time: Sequence[int],
) -> float:
    """A ResNet-50 of bottleneck blocks.

    Args:
        clip, classes: see `Network`.
        stem: places of the first convolution's kernel.
        pooled: whether a pool follows it.
        first: places of the first convolution of a block, of each stage.
        middle: what stands in the middle of a block: ``plane`` (1x3x3), ``split`` (3x1x1, then 1x3x3) or ``separate`` (3x3x3,
            each channel by itself).
        space, time: strides of each stage. With ``plane`` the first convolution has the one over time, else the middle one.
    """
    size = strided((clip.frames, clip.height, clip.width), (1, 2, 2))
    total = conv(size, clip.channels, 64, stem)
    size = strided(size, (1, 2, 2)) if pooled else size
    width_in, width_out = 64, 256
    for depth, kernel, across, along in zip((3, 4, 6, 3), first, space, time, strict=True):
        inner = width_out // 4
        for block in range(depth):
            step, pace = (across, along) if block == 0 else (1, 1)
            late = strided(size, (pace, 1, 1))
            after = strided(size, (pace, step, step))
            total += conv(late if middle == "plane" else size, width_in, inner, kernel)
            if middle == "plane":
                total += conv(after, inner, inner, 9)
            elif middle == "split":
                total += conv(late, inner, inner, 3) + conv(after, inner, inner, 9)
            else:
                total += conv(after, 1, inner, 27)
            total += conv(after, inner, width_out, 1)
            total += conv(after, width_in, width_out, 1) if block == 0 else 0.0
            size, width_in = after, width_out
        width_out *= 2
    return total + 2.0 * width_in * classes


def x3d_xs(clip: ClipShape, classes: int) -> float:
    """X3D-XS: a split stem, stages of channelwise 3x3x3 convolutions, squeeze and excitation in every second block."""
    size = strided((clip.frames, clip.height, clip.width), (1, 2, 2))
    total = conv(size, clip.channels, 24, 9) + conv(size, 1, 24, 5)
    width_in = inner = 24
    for depth, width_out in zip((3, 5, 11, 7), (24, 48, 96, 192), strict=True):
        inner = int(2.25 * width_out)
        squeezed = max(8, int(inner / 16 + 4) // 8 * 8)
        for block in range(depth):
            after = strided(size, (1, 2, 2)) if block == 0 else size
            total += conv(size, width_in, inner, 1) + conv(after, 1, inner, 27) + conv(after, inner, width_out, 1)
            total += 4.0 * inner * squeezed if block % 2 == 0 else 0.0
            total += conv(after, width_in, width_out, 1) if block == 0 else 0.0
            size, width_in = after, width_out
    return total + conv(size, width_in, inner, 1) + 2.0 * (inner * 2048 + 2048 * classes)


def mvit_b(clip: ClipShape, classes: int) -> float:
    """MViT-B: 16 blocks; before blocks 1, 3 and 14 the width doubles, in them space is halved."""
    size: Size = clip.frames // 2, clip.height // 4, clip.width // 4
    total = conv(size, clip.channels, 96, 3 * 7 * 7)
    width, reach = 96, 8
    for block in range(16):
        halves = block in (1, 3, 14)
        reach = max(1, reach // 2) if halves else reach
        wider = 2 * width if block + 1 in (1, 3, 14) else width
        after = strided(size, (1, 2, 2)) if halves else size
        looked_at = strided(size, (1, reach, reach))
        tokens, asking, answering = (1 + t * h * w for t, h, w in (size, after, looked_at))
        total += 6.0 * tokens * width * width + 2 * conv(looked_at, 1, width, 27)
        total += conv(after, 1, width, 27) if halves else 0.0
        total += 4.0 * asking * answering * width + 2.0 * asking * width * (width + 4 * width + 4 * wider)
        total += 2.0 * asking * width * wider if wider != width else 0.0
        size, width = after, wider
    return total + 2.0 * width * classes
