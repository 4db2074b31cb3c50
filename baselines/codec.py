"""Video coding as a baseline: real clips coded by H.264 or AV1 in one file, decoded for training. What is stored is the file.

In a byte budget ``crf`` says how coarse clips may be for more of them to fit: first as many clips a class as fit at that
quality, then the best quality at which so many still fit. The defaults are the best of those tried on the validation part
of nine classes of UCF101 (8 frames of 32x32; mean over 16, 64 and 256 KiB); docs/methods.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch

from baselines._features import class_features, feature_passes
from baselines.herding import herd
from bench.api import Method, SyntheticSet, Task, Workload
from bench.core.errors import DoesNotFit
from bench.distill.fitting import does_not_fit, largest
from bench.distill.real_start import labels_of, random_choice
from bench.sets.video_file import Codec, VideoFileSet, encoded

Chosen = Literal["random", "herding"]

_CRF: dict[Codec, tuple[int, int]] = {"h264": (0, 51), "av1": (1, 63)}


@dataclass(frozen=True)
class H264Config:
    """Options of coding by H.264.

    Attributes:
        crf: quality, 0 (best) to 51; in a budget the coarsest that is used. The encoder's default is 23.
        chosen: which clips: those of ``random``, or those of ``herding`` in the maps of a trained network (its cost is charged).
    """

    crf: int = 35
    chosen: Chosen = "random"

    def __post_init__(self) -> None:
        _check_crf(self.crf, "h264")


@dataclass(frozen=True)
class AV1Config:
    """Options of coding by AV1.

    Attributes:
        crf: quality, 1 (best) to 63; in a budget the coarsest that is used. The encoder's default is 35.
        chosen: as for H.264.
    """

    crf: int = 59
    chosen: Chosen = "random"

    def __post_init__(self) -> None:
        _check_crf(self.crf, "av1")


@final
class CodecH264(Method[H264Config]):
    """Real clips coded by H.264 (x264), as many as fit."""

    name = "codec-h264"
    Config = H264Config
    in_all = False
    fills_budget = True
    tuned = ("crf",)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return coded_clips(task, "h264", self.config.crf, self.config.chosen)

    def stored_bytes(self, work: Workload) -> int:
        """A guess: what clips take depends on what they show."""
        return guessed_bytes(work)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return feature_passes(work, "trained") if self.config.chosen == "herding" else 0.0


@final
class CodecAV1(Method[AV1Config]):
    """Real clips coded by AV1 (SVT-AV1), as many as fit."""

    name = "codec-av1"
    Config = AV1Config
    in_all = False
    fills_budget = True
    tuned = ("crf",)

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`."""
        return coded_clips(task, "av1", self.config.crf, self.config.chosen)

    def stored_bytes(self, work: Workload) -> int:
        """A guess: what clips take depends on what they show."""
        return guessed_bytes(work)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`."""
        return feature_passes(work, "trained") if self.config.chosen == "herding" else 0.0


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
        steps, better = _most(lambda steps: file_of(count, crf - steps), crf - _CRF[codec][0], task.budget)
        data = better if steps else data
        task.log(f"{count} clips a class at crf {crf - steps}, {len(data):,} bytes")
    file = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(task.device)
    _, frames, height, width = task.clip.dims()
    return VideoFileSet(file, labels_of([own[:count] for own in order]), (frames, height, width), codec)


def _order(task: Task, chosen: Chosen) -> Sequence[torch.Tensor]:
    """For each class the first IPC of its clips, in the order in which they are taken."""
    if chosen == "random":
        return random_choice(task)
    return [index[herd(found, task.ipc)] for index, found in class_features(task, "trained", "maps")]


def _most(file_of: Callable[[int], bytes], most: int, budget: int) -> tuple[int, bytes]:
    """The largest number from 1 to ``most`` whose file fits, and the file; 0 and the file of 1 if that does not."""
    files: dict[int, bytes] = {}

    def fits(number: int) -> bool:
        data = file_of(number)
        if len(data) <= budget or number == 1:
            files[number] = data
        return len(data) <= budget

    found = largest(most, fits)
    return found, files.get(found or 1, b"")


def guessed_bytes(work: Workload) -> int:
    """A hundredth of the pixels, about what crf 35 of H.264 takes of clips of 32 lines."""
    return max(1, work.classes * work.ipc * work.clip.values() // 100)


def _check_crf(crf: int, codec: Codec) -> None:
    least, most = _CRF[codec]
    if not least <= crf <= most:
        raise ValueError(f"crf must lie in {least}..{most}, not {crf}")
