"""UCF101 and MiniUCF, its 50 classes used by video distillation, as the archives unpack.

Source: Soomro, Zamir, Shah, "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild", CRCV-TR-12-01, 2012.
Below the root lie ``UCF-101/<Class>/v_<Class>_gNN_cNN.avi`` and ``ucfTrainTestlist/{classInd,trainlist0k,testlist0k}.txt``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, DeclaredSize, Geometry
from bench.core.errors import BenchError, MissingData
from bench.data.clip_table import number
from bench.data.sources.list_checks import checked, told_apart
from bench.data.sources.video_files import (
    Archive,
    ClassFolders,
    Fetchable,
    Listing,
    complete,
    group_of,
    numbered_lines,
    read_file,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLIPS, LISTS = "UCF-101", "ucfTrainTestlist"

_CLIP_LINE = re.compile(r"(?P<action>\w+)/(?P<file>\w+\.avi)(\s+\d+)?")

ARCHIVES = (
    Archive(
        "https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip", LISTS, "the lists, small"
    ),
    Archive("https://www.crcv.ucf.edu/data/UCF101/UCF101.rar", CLIPS, "the clips, about 6.5 GB"),
)

# fmt: off
MINI_CLASSES = frozenset((
    "ApplyEyeMakeup", "BalanceBeam", "BandMarching", "BaseballPitch", "Basketball", "BasketballDunk", "Biking",
    "Billiards", "BlowingCandles", "Bowling", "BreastStroke", "CleanAndJerk", "CliffDiving", "CricketShot", "Diving",
    "FloorGymnastics", "FrisbeeCatch", "GolfSwing", "HammerThrow", "HighJump", "HorseRace", "HorseRiding", "HulaHoop",
    "IceDancing", "JumpingJack", "Knitting", "MilitaryParade", "Mixing", "ParallelBars", "PlayingPiano",
    "PlayingViolin", "PoleVault", "PommelHorse", "Punch", "Rafting", "Rowing", "SkateBoarding", "Skiing", "Skijet",
    "SkyDiving", "SoccerPenalty", "StillRings", "SumoWrestling", "Surfing", "Swing", "TennisSwing",
    "TrampolineJumping", "UnevenBars", "VolleyballSpiking", "WritingOnBoard",
))
# fmt: on


@dataclass(frozen=True)
class UCFOptions:
    """Options of UCF101 and MiniUCF.

    Attributes:
        split: which of the three official train/test splits.
    """

    split: Literal[1, 2, 3] = 1


class UCF(Dataset[UCFOptions], Fetchable):
    """What both datasets share; they differ in their classes."""

    Config: ClassVar[type] = UCFOptions
    default_profile = "paper"

    @abstractmethod
    def only(self) -> frozenset[str] | None:
        """The classes of UCF101 that are kept; None: all."""

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return profile

    @override
    def listing(self) -> Listing:
        """Every clip of these classes in the official lists, training clips first."""
        listing = list_clips(self.name, Path(self.root), self.options.split, self.only())
        size = self.declared()
        return listing if size is None else replace(listing, notes=(*listing.notes, *_doubts(size, listing)))

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        root = Path(self.root)
        title = self.name if self.options.split == 1 else f"{self.name} (split {self.options.split})"
        return complete(self.name, title, self.listing(), root, how_to_get(self.name, root), mirrors=True)

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        return read_file(Path(self.root), clip, geometry)

    @override
    def archives(self) -> tuple[Archive, ...]:
        """The lists, then the clips they name."""
        return ARCHIVES

    @override
    def unpack(self, archive: Archive, path: Path) -> None:
        """Each archive holds one folder."""
        from bench.data.download import unpack

        unpack(path, Path(self.root), archive.folder)

    @override
    def holds(self, archive: Archive) -> bool:
        """Whether the lists of this split are there, or all the clips they name."""
        if archive.folder == LISTS:
            return all(path.is_file() for path in list_files(Path(self.root), self.options.split))
        return not self.listing().missing


class UCF101(UCF):
    """101 human actions, 13,320 clips."""

    name: ClassVar[str] = "ucf101"

    @override
    def declared(self) -> DeclaredSize | None:
        """The official counts of split 1."""
        return DeclaredSize(101, 9537, 3783) if self.options.split == 1 else None

    @override
    def only(self) -> None:
        """All classes."""


class MiniUCF(UCF):
    """50 of UCF101's classes; split 1 is the published one."""

    name: ClassVar[str] = "miniucf"

    @override
    def declared(self) -> DeclaredSize | None:
        """The published counts, of split 1."""
        return DeclaredSize(50, 4662, 1861) if self.options.split == 1 else None

    @override
    def only(self) -> frozenset[str]:
        """The published 50."""
        return MINI_CLASSES


# ----------------------------------------------------------------------------------------------------------------------
# What both are made of


def list_clips(name: str, root: Path, split: int, only: frozenset[str] | None) -> Listing:
    """The clips of a split as the official lists name them.

    Args:
        name: of the dataset, for messages.
        root: where ``UCF-101`` and ``ucfTrainTestlist`` lie.
        split: 1 to 3.
        only: the classes to keep; None: all.

    Raises:
        MissingData: a list is not there.
        BenchError: a line of a list cannot be read or names a class that is not in the class list, a clip is in both lists,
            or a class has no training clip.
    """
    files = list_files(root, split)
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise MissingData(f"{name}: no {', '.join(absent)} in {root / LISTS}. {how_to_get(name, root)}")
    class_list, train_list, test_list = files
    known = _classes(class_list)
    told_apart(str(class_list), [spelling.lower() for spelling in known])
    names = {spelling.lower() for spelling in known}
    classes = tuple(spelling for spelling in known if only is None or spelling in only)
    labels = {spelling.lower(): label for label, spelling in enumerate(classes)}
    present = ClassFolders(root, CLIPS)
    clips: list[ClipRef] = []
    missing: set[str] = set()
    parts: tuple[tuple[Path, Literal["train", "test"]], ...] = ((train_list, "train"), (test_list, "test"))
    for path, part in parts:
        for place, line in numbered_lines(path):
            match = _CLIP_LINE.fullmatch(line)
            if match is None:
                raise BenchError(f"{path}: line {place}: '{line}' is not Class/clip.avi")
            action = match["action"].lower()
            if action not in names:
                raise BenchError(f"{path}: line {place}: class '{match['action']}' is not in {class_list.name}")
            if (label := labels.get(action)) is None:
                continue
            key, size = present.find(match["action"], match["file"])
            clips.append(ClipRef(key, label, part, group_of(key), size or 0))
            if size is None:
                missing.add(key)
    listed, notes = checked(f"{train_list} and {test_list.name}", classes, clips)
    return Listing(root, classes, listed, frozenset(missing), notes)


def list_files(root: Path, split: int) -> tuple[Path, Path, Path]:
    """The class list, the train list and the test list of a split."""
    names = ("classInd", f"trainlist0{split}", f"testlist0{split}")
    class_list, train_list, test_list = (root / LISTS / f"{name}.txt" for name in names)
    return class_list, train_list, test_list


def how_to_get(name: str, root: Path) -> str:
    """What to do when data are missing."""
    urls = " and ".join(archive.url for archive in ARCHIVES)
    return (
        f"Get them with 'python -m bench data fetch {name} --root {root}', or put {urls} into {root} by hand and give the "
        f"same command; if {CLIPS}/ and {LISTS}/ lie elsewhere, name the folder they are in with --root; "
        "or try the suite on procedural clips of the same shape with --stand-in"
    )


def _doubts(size: DeclaredSize, listing: Listing) -> tuple[str, ...]:
    counted = DeclaredSize(len(listing.classes), number(listing.clips, "train"), number(listing.clips, "test"))
    if counted == size:
        return ()
    return (
        f"The lists name {counted.train:,} training and {counted.test:,} test clips of {counted.classes} classes; "
        f"the published ones name {size.train:,} and {size.test:,} of {size.classes}.",
    )


def _classes(path: Path) -> list[str]:
    """Class names of ``classInd.txt`` (``1 ApplyEyeMakeup``) in label order."""
    classes: list[str] = []
    for place, line in numbered_lines(path):
        fields = line.split()
        if len(fields) != 2 or fields[0] != str(len(classes) + 1):
            raise BenchError(f"{path}: line {place}: '{line}' is not '{len(classes) + 1} ClassName'")
        classes.append(fields[1])
    return classes
