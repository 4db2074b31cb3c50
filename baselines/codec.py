"""Video coding as a baseline: real clips coded by H.264 or AV1 in one file, decoded for training. What is stored is the file.

In a byte budget ``crf`` says how coarse clips may be for more of them to fit: first as many clips a class as fit at that
quality, then the best quality at which so many still fit. The defaults are the best of those tried on the validation part
of nine classes of UCF101 (8 frames of 32x32; mean over 16, 64 and 256 KiB); docs/methods.md has the figures.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from msgspec import Meta
from typing_extensions import override

from bench.api import Footprint, Method, SyntheticSet, Task, Workload
from bench.core.errors import DoesNotFit
from bench.core.upload import upload
from bench.distill.fitting import does_not_fit, largest
from bench.distill.real_start import Choice, labels_of, random_choice
from bench.sets.video_file import Codec, VideoFileSet, encoded

from ._features import class_features, feature_footprint, feature_passes
from .herding import herd

Chosen = Literal["random", "herding"]

_BEST: dict[Codec, int] = {"h264": 0, "av1": 1}
"""The ``crf`` of the best quality of each."""


@dataclass(frozen=True)
class CodecConfig:
    """Options of coding.

    Attributes:
        crf: quality, the lower the better; in a budget the coarsest that is used.
        chosen: which clips: those of ``random``, or those of ``herding`` in the maps of a trained network (its cost is charged).
    """

    crf: int
    chosen: Chosen = "random"


@dataclass(frozen=True)
class H264Config(CodecConfig):
    """Options of coding by H.264. Its ``crf`` runs from 0 (best) to 51; the encoder's default is 23."""

    crf: Annotated[int, Meta(ge=0, le=51)] = 35


@dataclass(frozen=True)
class AV1Config(CodecConfig):
    """Options of coding by AV1. Its ``crf`` runs from 1 (best) to 63; the encoder's default is 35."""

    crf: Annotated[int, Meta(ge=1, le=63)] = 59


class CodedClips(Method[CodecConfig]):
    """Real clips in one coded file, as many as fit."""

    in_all = False
    fills_budget = True
    tuned = ("crf",)

    @abstractmethod
    def codec(self) -> Codec:
        """By which they are coded."""

    @final
    @override
    def distill(self, task: Task) -> SyntheticSet:
        return coded_clips(task, self.codec(), self.config.crf, self.config.chosen)

    @final
    @override
    def stored_bytes(self, work: Workload) -> int:
        # A guess, as what clips take depends on what they show: about what crf 35 of H.264 takes of clips of 32 lines.
        return max(1, work.classes * work.ipc * work.clip.values() // 100)

    @final
    @override
    def clip_passes(self, work: Workload) -> float:
        return feature_passes(work, "trained") if self.config.chosen == "herding" else 0.0

    @final
    @override
    def footprint(self, work: Workload) -> Footprint:
        return feature_footprint(work) if self.config.chosen == "herding" else Footprint(networks=0.0)


@final
class CodecH264(CodedClips):
    """Real clips coded by H.264 (x264), as many as fit."""

    name = "codec-h264"
    Config = H264Config

    @override
    def codec(self) -> Codec:
        return "h264"


@final
class CodecAV1(CodedClips):
    """Real clips coded by AV1 (SVT-AV1), as many as fit."""

    name = "codec-av1"
    Config = AV1Config

    @override
    def codec(self) -> Codec:
        return "av1"


def coded_clips(task: Task, codec: Codec, crf: int, chosen: Chosen) -> SyntheticSet:
    """IPC clips a class in one file or, with a budget, the most that fit, as good as they fit: found by coding them.

    Raises:
        DoesNotFit: one clip a class takes more than the budget.
    """
    order = _order(task, chosen)

    def file_of(count: int, quality: int) -> bytes:
        index = torch.cat([own[:count] for own in order])
        return encoded(task.pixels(index), codec, quality)

    if task.budget is None:
        count, data = task.ipc, file_of(task.ipc, crf)
    else:
        count, data = _most(lambda number: file_of(number, crf), task.ipc, task.budget)
        if not count:
            raise DoesNotFit(does_not_fit(f"codec-{codec}", len(data), task.budget))
        steps, better = _most(lambda steps: file_of(count, crf - steps), crf - _BEST[codec], task.budget)
        data = better if steps else data
        task.log(f"{count} clips a class at crf {crf - steps}, {len(data):,} bytes")
    file = upload(torch.frombuffer(bytearray(data), dtype=torch.uint8), task.device)
    _, frames, height, width = task.clip.dims()
    return VideoFileSet(file, labels_of([own[:count] for own in order]), (frames, height, width), codec)


def _order(task: Task, chosen: Chosen) -> Choice:
    """For each class the first IPC of its clips, in the order in which they are taken."""
    if chosen == "random":
        return random_choice(task)
    return [index[herd(features, task.ipc)] for index, features in class_features(task, "trained", "maps")]


def _most(file_of: Callable[[int], bytes], most: int, budget: int) -> tuple[int, bytes]:
    """The largest number from 1 to ``most`` whose file fits, and the file; 0 and the file of 1 if that does not."""
    files: dict[int, bytes] = {}

    def fits(number: int) -> bool:
        data = file_of(number)
        if len(data) <= budget or number == 1:
            files[number] = data
        return len(data) <= budget

    fitting = largest(most, fits)
    return fitting, files.get(fitting or 1, b"")
