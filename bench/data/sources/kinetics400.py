"""Kinetics-400 as CVDF distributes it, its videos in folders by label or not; those that are not there are left out and counted.

Source: Kay et al., "The Kinetics Human Action Video Dataset", 2017; github.com/cvdfoundation/kinetics-dataset. Below the root
lie ``train`` and ``val`` with ``<youtube_id>_<start>_<end>.mp4`` (times in seconds, six digits), directly or in folders, and
``annotations/{train,val}.csv`` with the columns ``label,youtube_id,time_start,time_end,split``.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, DeclaredSize, Geometry, NoOptions
from bench.core.errors import BenchError, MissingData
from bench.core.text import first_few
from bench.data.clip_table import ClipTable
from bench.data.sources.list_checks import checked
from bench.data.sources.video_files import (
    Archive,
    Fetchable,
    Listing,
    VideosByName,
    capped,
    indexed,
    read_file,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES, TRAIN, TEST = 400, 246_534, 19_906
"""As the lists of CVDF have them; of the videos 240,258 and 19,881 are in its archives."""

FRAMES, SIZE, GAP = 8, 64, 15
"""As published: 8 frames of 64x64, two a second from the middle of the video (at 30 frames a second)."""

FOLDERS = ("replacement", "train", "val", "videos_train", "videos_val", "validate", "validation")
"""Where videos are looked for. A replacement goes before the corrupt file that it is for."""

_LISTS = {
    "train": ("annotations/train.csv", "train.csv", "kinetics_train.csv", "annotations/kinetics_train.csv"),
    "test": (
        "annotations/val.csv", "val.csv", "validate.csv", "annotations/validate.csv",
        "kinetics_val.csv", "annotations/kinetics_val.csv",
    ),
}  # fmt: skip
_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_NAMES_VIDEO = re.compile(r"[\w-]+,\d+,\d+", re.ASCII)
_SERVER = "https://s3.amazonaws.com/kinetics/400"
_FETCHED = ".fetched"  # holds an empty file for each archive that was unpacked


class Kinetics400(Dataset[NoOptions], Fetchable):
    """400 human actions, the validation videos for testing: 246,534 + 19,906 listed, some of them gone for good."""

    name: ClassVar[str] = "kinetics400"
    default_profile = "paper"

    @override
    def declared(self) -> DeclaredSize:
        return DeclaredSize(CLASSES, TRAIN, TEST)

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        """At most 8 frames of 64x64, two a second, one window from the middle."""
        return capped(profile, FRAMES, SIZE, GAP)

    @override
    def listing(self) -> Listing:
        """Every video that the lists name, training clips first.

        Raises:
            MissingData: a list is not there.
            BenchError: a line cannot be read, or the list is not one of 400 classes.
        """
        root = Path(self.root)
        train, test = (self._list(side) for side in ("train", "test"))
        classes = tuple(sorted({label for _, label, _ in _rows(train)}))
        if len(classes) != CLASSES:
            raise BenchError(f"{train}: {len(classes)} labels; Kinetics-400 has {CLASSES}")
        labels = {name: label for label, name in enumerate(classes)}
        videos = VideosByName(root, FOLDERS, depth=2)
        missing: set[str] = set()

        def clips(path: Path, side: Literal["train", "test"]) -> Iterator[ClipRef]:
            for number, label, name in _rows(path):
                if label not in labels:
                    raise BenchError(f"{path}: line {number}: label '{label}' is not one of those in {train.name}")
                video = videos.find(name)
                if video is None:
                    folder = "train" if side == "train" else "val"
                    video = f"{folder}/{label.replace('/', '_')}/{name}.mp4", 0
                    missing.add(video[0])
                key, size = video
                yield ClipRef(key, labels[label], side, name.rsplit("_", 2)[0], size)

        table = ClipTable(clips(train, "train"))
        for clip in clips(test, "test"):
            table.append(clip)
        listed, notes = checked(f"{train} and {test.name}", classes, table, mends=True)
        return Listing(root, classes, listed, frozenset(missing), notes + _doubts(table))

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        """Those that are there; the notes say how many are not.

        Raises:
            MissingData: of some class no training video is there.
        """
        listing, root = self.listing(), Path(self.root)
        clips, notes = listing.clips, listing.notes
        assert isinstance(clips, ClipTable)
        if listing.missing:
            absent = ClipTable(clip for clip in clips if clip.key in listing.missing)
            clips = ClipTable(clip for clip in clips if clip.key not in listing.missing)
            notes += (
                f"{len(absent):,} of {len(listing.clips):,} listed videos are not there and left out: "
                f"{absent.number('train'):,} for training, {absent.number('test'):,} for testing.",
            )
        trained = clips.per_class("train")
        untrained = [name for label, name in enumerate(listing.classes) if not trained[label]]
        if untrained:
            raise MissingData(
                f"{self.name}: no training video of {len(untrained):,} of {CLASSES} classes ({first_few(untrained)}) is in "
                f"{root / 'train'}. {how_to_get(root)}"
            )
        return indexed(self.name, root, listing.classes, clips, notes)

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        return read_file(Path(self.root), clip, geometry)

    @override
    def archives(self) -> tuple[Archive, ...]:
        """The lists, the archives of about a thousand videos each, and the one of videos that were corrupt."""
        lists = [
            Archive(f"{_SERVER}/annotations/{side}.csv", "annotations", f"the list of {side}", f"{side}.csv")
            for side in ("train", "val")
        ]
        parts = [
            Archive(f"{_SERVER}/{side}/part_{i}.tar.gz", side, f"{side}, {i + 1} of {count}", f"{side}_part_{i}.tar.gz")
            for side, count in (("val", 20), ("train", 242))
            for i in range(count)
        ]
        replaced = Archive(
            f"{_SERVER}/replacement_for_corrupted_k400.tgz", "replacement", "in the place of corrupt ones"
        )
        return (*lists, *parts, replaced)

    @override
    def unpack(self, archive: Archive, path: Path) -> None:
        """A list is moved to its place, an archive's videos to theirs; the archive is deleted then, for there are many."""
        from bench.data import download

        target = Path(self.root) / archive.folder
        target.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            os.replace(path, target / path.name)
            return
        mark = Path(self.root) / _FETCHED / archive.file
        mark.parent.mkdir(exist_ok=True)
        download.unpack_files(path, target)
        mark.touch()
        path.unlink()

    @override
    def holds(self, archive: Archive) -> bool:
        """Whether a list is there, an archive was unpacked, or its folder was filled by hand."""
        root = Path(self.root)
        if archive.folder == "annotations":
            return _find_list(root, "train" if archive.file == "train.csv" else "test") is not None
        if (root / _FETCHED).is_dir():
            return (root / _FETCHED / archive.file).exists()
        return (root / archive.folder).is_dir()

    def _list(self, side: str) -> Path:
        path = _find_list(Path(self.root), side)
        if path is None:
            raise MissingData(f"{self.name}: no {_LISTS[side][0]} in {self.root}. {how_to_get(Path(self.root))}")
        return path


def how_to_get(root: Path) -> str:
    """What to do when data are missing."""
    return (
        f"Get the dataset with 'python -m bench data fetch kinetics400 --root {root}' (263 archives, about 400 GB, which it goes "
        "on with where it stopped), or with the scripts of github.com/cvdfoundation/kinetics-dataset; if train/, val/ and "
        "annotations/ lie elsewhere, name the folder they are in with --root; or try the suite on procedural clips of the "
        "same shape with --stand-in"
    )


def _find_list(root: Path, side: str) -> Path | None:
    return next((root / name for name in _LISTS[side] if (root / name).is_file()), None)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, label and video name (``<youtube_id>_<start>_<end>``) of each line of a list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if not set(_COLUMNS) <= set(header):
                raise BenchError(f"{path}: line 1 is '{','.join(header)}'; needed: {','.join(_COLUMNS)}")
            places = [header.index(column) for column in _COLUMNS]
            for row in reader:
                if not row:
                    continue
                values = [row[place] for place in places] if len(row) == len(header) else []
                if not values or not _NAMES_VIDEO.fullmatch(",".join(values[1:])):
                    raise BenchError(f"{path}: line {reader.line_num}: '{','.join(row)}' is not {','.join(header)}")
                label, video, start, end = values
                yield reader.line_num, label.strip(), f"{video}_{int(start):06d}_{int(end):06d}"
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error


def _doubts(clips: ClipTable) -> tuple[str, ...]:
    train, test = clips.number("train"), clips.number("test")
    if (train, test) == (TRAIN, TEST):
        return ()
    return (f"The lists name {train:,} training and {test:,} test videos; those of CVDF name {TRAIN:,} and {TEST:,}.",)
