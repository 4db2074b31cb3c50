"""Video coding as a baseline: real clips coded by H.264 or AV1 in one file, decoded for training. What is stored is the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch

from baselines._features import class_features, feature_passes
from baselines.herding import herd
from bench.api import Method, SyntheticSet, Task, Workload
from bench.budget import does_not_fit, largest
from bench.errors import DoesNotFit
from bench.synthetic.choose import labels_of, random_choice
from bench.synthetic.video_file import Codec, VideoFileSet, encoded

Chosen = Literal["random", "herding"]


@dataclass(frozen=True)
class H264Config:
    """Options of coding by H.264.

    Attributes:
        crf: quality, 0 (best) to 51; 23 is the encoder's default.
        chosen: which clips: those of ``random``, or those of ``herding`` in the maps of a trained network (its cost is charged).
    """

    crf: int = 23
    chosen: Chosen = "random"

    def __post_init__(self) -> None:
        _check_crf(self.crf, 0, 51)


@dataclass(frozen=True)
class AV1Config:
    """Options of coding by AV1.

    Attributes:
        crf: quality, 1 (best) to 63; 35 is the encoder's default.
        chosen: as for H.264.
    """

    crf: int = 35
    chosen: Chosen = "random"

    def __post_init__(self) -> None:
        _check_crf(self.crf, 1, 63)


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
    """IPC clips a class in one file or, with a budget, the most that fit: found by coding them.

    Raises:
        DoesNotFit: one clip a class takes more than the budget.
    """
    order = _order(task, chosen)

    def file_of(count: int) -> bytes:
        index = torch.cat([own[:count] for own in order])
        return encoded(task.pixels(index), codec, crf)

    count, data = _most(file_of, task.ipc, task.budget, f"codec-{codec}")
    file = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(task.device)
    _, frames, height, width = task.clip.dims()
    return VideoFileSet(file, labels_of([own[:count] for own in order]), (frames, height, width), codec)


def _order(task: Task, chosen: Chosen) -> Sequence[torch.Tensor]:
    """For each class the first IPC of its clips, in the order in which they are taken."""
    if chosen == "random":
        return random_choice(task)
    return [index[herd(found, task.ipc)] for index, found in class_features(task, "trained", "maps")]


def _most(file_of: Callable[[int], bytes], most: int, budget: int | None, name: str) -> tuple[int, bytes]:
    """How many clips a class, and their file."""
    if budget is None:
        return most, file_of(most)
    fitting: dict[int, bytes] = {}
    sizes: list[int] = []

    def fits(count: int) -> bool:
        data = file_of(count)
        sizes.append(len(data))
        if len(data) <= budget:
            fitting[count] = data
        return len(data) <= budget

    found = largest(most, fits)
    if not found:
        raise DoesNotFit(does_not_fit(name, sizes[0], budget))
    return found, fitting[found]


def guessed_bytes(work: Workload) -> int:
    """A twentieth of the pixels, what crf 23 takes of clips of a hundred lines or so."""
    return max(1, work.classes * work.ipc * work.clip.values() // 20)


def _check_crf(crf: int, least: int, most: int) -> None:
    if not least <= crf <= most:
        raise ValueError(f"crf must lie in {least}..{most}, not {crf}")
