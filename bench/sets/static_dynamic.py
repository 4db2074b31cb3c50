"""Still images and one-channel motion memories, which a shared 3D convolution turns into clips (Wang et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.repeated_frames import repeat_frame
from bench.core.temporal import Interpolation
from bench.core.upload import upload
from bench.sets.keyframes import expand

Mode = Literal["concat", "add"]


@final
class StaticDynamicSet(SyntheticSet):
    """Each clip owns some static and some dynamic memories; whenever it is rendered it draws one of each.

    Rendered is ``hallucinator([static repeated over time ; dynamic])``, a Conv3d with kernel 3 and padding 1 on the
    concatenated four channels, or (mode ``add``) on their sum. What is None is left out: without dynamic memory a clip is its
    still image, without static memory the hallucinator reads the dynamic memory alone, and without hallucinator (mode ``add``)
    the sum is the clip. A dynamic memory of fewer than T frames makes a clip of as many, which is then expanded.

    Attributes:
        static: ``(N, s, 3, H, W)`` float32 in network units, or None.
        dynamic: ``(N, d, 1, n, H, W)`` float32, n at most T, or None.
        hallucinator: its weight and bias, ``(3, 4 | 3 | 1, 3, 3, 3)`` and ``(3,)``, or None.
        frames: T.
        mode: how static and dynamic meet.
        interpolation: how n frames become T; see `bench.sets.keyframes.expand`.
    """

    name = "static-dynamic"

    def __init__(
        self,
        labels: torch.Tensor,
        frames: int,
        mode: Mode = "concat",
        static: torch.Tensor | None = None,
        dynamic: torch.Tensor | None = None,
        hallucinator: tuple[torch.Tensor, torch.Tensor] | None = None,
        interpolation: Interpolation = "nearest",
    ) -> None:
        self.labels = labels
        self.frames = frames
        self.mode: Mode = mode
        self.static = static
        self.dynamic = dynamic
        self.hallucinator = hallucinator
        self.interpolation: Interpolation = interpolation

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        hallucinator = None
        if "hallucinator.weight" in tensors:
            hallucinator = tensors["hallucinator.weight"], tensors["hallucinator.bias"]
        mode: Mode = "add" if options["mode"] == "add" else "concat"
        frames = options["frames"]
        if not isinstance(frames, int):
            raise TypeError(f"frames must be a whole number, not {frames!r}")
        how = options.get("interpolation", "nearest")
        return cls(labels, frames, mode, tensors.get("static"), tensors.get("dynamic"), hallucinator, how)  # type: ignore[arg-type]  # `expand` checks it

    @override
    def options(self) -> dict[str, Value]:
        """Clip length, mode and interpolation."""
        return {"frames": self.frames, "mode": self.mode, "interpolation": self.interpolation}

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        memories = {"static": self.static, "dynamic": self.dynamic}
        stored = {name: tensor for name, tensor in memories.items() if tensor is not None}
        if self.hallucinator is not None:
            stored["hallucinator.weight"], stored["hallucinator.bias"] = self.hallucinator
        return stored

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Clips, each of a random one of its static and a random one of its dynamic memories."""
        still = None if self.static is None else _one_of_each(self.static, index, rng).unsqueeze(2)  # (B, 3, 1, H, W)
        if self.dynamic is None:
            assert still is not None
            return repeat_frame(still, self.frames)
        moving = _one_of_each(self.dynamic, index, rng)  # (B, 1, n, H, W)
        if self.hallucinator is not None:
            clips = hallucinated(still, moving, *self.hallucinator, self.mode)
        elif still is None:
            clips = moving
        else:
            clips = (
                torch.cat([repeat_frame(still, moving.shape[2]), moving], dim=1)
                if self.mode == "concat"
                else still + moving
            )
        return expand(clips, self.frames, self.interpolation)


def hallucinated(
    still: torch.Tensor | None, moving: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mode: Mode
) -> torch.Tensor:
    """The hallucinator's clips, ``(B, 3, n, H, W)``.

    Args:
        still: static memory ``(B, 3, 1, H, W)``, or None.
        moving: dynamic memory ``(B, 1, n, H, W)``.
        weight, bias, mode: see `StaticDynamicSet`.
    """
    if still is None:
        return _convolved(moving, weight, bias)
    if mode == "add":
        return _convolved(still + moving, weight, bias)
    # A convolution of channels side by side is the sum of theirs. What it makes of an image that is shown all the time differs
    # in the first and the last frame alone, so three frames stand for all.
    frames = moving.shape[2]
    part = _convolved(repeat_frame(still, min(frames, 3)), weight[:, :-1], bias)
    if frames > 3:
        part = torch.cat([part[:, :, :1], repeat_frame(part[:, :, 1:2], frames - 2), part[:, :, 2:]], dim=2)
    return part + _convolved(moving, weight[:, -1:], None)


def _convolved(clips: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    # With so few channels the gradient takes four times as long in the plain order of memory.
    layout = torch.channels_last_3d
    clips, weight = clips.contiguous(memory_format=layout), weight.contiguous(memory_format=layout)
    return torch.nn.functional.conv3d(clips, weight, bias, padding=1)


def _one_of_each(memory: torch.Tensor, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """A random memory of each indexed clip: ``(N, m, ...)`` to ``(B, ...)``."""
    choice = torch.randint(memory.shape[1], index.shape, generator=rng)
    return memory[upload(index, memory.device), upload(choice, memory.device)]
