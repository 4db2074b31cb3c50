"""What datasets made of video files have in common: their listing, groups, fingerprint and reading."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.api import ClipIndex, ClipRef, Geometry
from bench.core.errors import BenchError, MissingData
from bench.core.text import first_few
from bench.data.clip_table import Texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# fmt: off
SUFFIXES = (
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m1v", ".m2ts", ".m2v", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
)
# fmt: on
"""Endings of the names of video files, upper or lower case. Files with other endings are left out, and said."""

_CLIP_OF_GROUP = re.compile(r"(.+_g\d+)_c\d+")


@dataclass(frozen=True)
class Listing:
    """The videos a dataset should consist of, present or not.

    Attributes:
        folder: where keys start.
        classes: class names in label order.
        clips: every video; those that are missing have size 0 and are in ``missing``.
        missing: keys of the videos that are not there.
        notes: what the user should know, one sentence each.
    """

    folder: Path
    classes: tuple[str, ...]
    clips: Sequence[ClipRef]
    missing: frozenset[str]
    notes: tuple[str, ...] = ()


def complete(name: str, title: str, listing: Listing, folder: Path, how: str, mirrors: bool) -> ClipIndex:
    """The index of a listing of which nothing may be missing.

    Args:
        name: of the dataset, for the error.
        title: the same for the index, with what sets its split apart.
        listing: what should be there.
        folder: where the videos should be.
        how: a sentence on how to get them.
        mirrors: see `ClipIndex`.

    Raises:
        MissingData: some are not there.
    """
    if listing.missing:
        raise MissingData(
            f"{name}: {len(listing.missing):,} of {len(listing.clips):,} clips are missing in {folder}: "
            f"{first_few(sorted(listing.missing))}. {how}"
        )
    return indexed(title, listing.folder, listing.classes, listing.clips, listing.notes, mirrors)


def indexed(
    title: str,
    folder: Path,
    classes: tuple[str, ...],
    clips: Sequence[ClipRef],
    notes: tuple[str, ...],
    mirrors: bool = False,
) -> ClipIndex:
    """The index of clips that are all there, below a folder."""
    return ClipIndex(title, classes, clips, fingerprint(classes, clips), notes, stamp(folder, clips), mirrors)


class Listed(ABC):
    """A dataset that can say which files it expects, whether or not they are there."""

    @abstractmethod
    def listing(self) -> Listing:
        """What should be there.

        Raises:
            MissingData: not even the lists are there.
            BenchError: the lists are faulty.
        """


@dataclass(frozen=True)
class Archive:
    """An archive that a dataset is published as.

    Attributes:
        url: where it is.
        folder: the top folder it unpacks to.
        what: what is in it, for people.
        name: the file name here, where that of the URL is not enough.
    """

    url: str
    folder: str
    what: str
    name: str = ""

    @property
    def file(self) -> str:
        """Its file name."""
        return self.name or self.url.rpartition("/")[2]


class Fetchable(Listed):
    """A dataset with public archives."""

    @abstractmethod
    def archives(self) -> tuple[Archive, ...]:
        """What to fetch, in this order."""

    @abstractmethod
    def unpack(self, archive: Archive, path: Path) -> None:
        """Puts what an archive, fetched to ``path``, holds in its place.

        Raises:
            BenchError: it cannot be unpacked, or tries to reach outside its folder.
        """

    @abstractmethod
    def holds(self, archive: Archive) -> bool:
        """Whether all that the archive has to give is there already."""


class ByHand(Listed):
    """A dataset that nobody may fetch for the user: its licence has to be accepted by hand."""

    @abstractmethod
    def how_to_get(self) -> str:
        """Where to get it, and where to put it: whole sentences."""


class ClassFolders:
    """The files in the class folders of a dataset, found whatever the case of their names.

    Args:
        root: where keys start.
        below: the folder of the class folders, relative to it; ``.`` is the root itself.
    """

    def __init__(self, root: Path, below: str) -> None:
        self._root = root
        self._below = below
        self._folders = {path.name.lower(): path for path in _sorted_entries(root / below) if path.is_dir()}
        self._files: dict[str, dict[str, tuple[str, int]]] = {}

    def __contains__(self, action: str) -> bool:
        return action.lower() in self._folders

    def find(self, action: str, file: str) -> tuple[str, int | None]:
        """A clip's key and size; as listed and None where there is no such file."""
        folder = action.lower()
        if folder not in self._files:
            paths = _sorted_entries(self._folders[folder]) if folder in self._folders else ()
            self._files[folder] = {
                path.name.lower(): (path.name, path.stat().st_size) for path in paths if path.is_file()
            }
        name_and_size = self._files[folder].get(file.lower())
        if name_and_size is None:
            return PurePosixPath(self._below, action, file).as_posix(), None
        name, size = name_and_size
        return PurePosixPath(self._below, self._folders[folder].name, name).as_posix(), size


class VideosByName:
    """The videos below some folders, found by their file name without its ending.

    If two have the same name, the one in the folder that is named first counts.

    Args:
        root: where keys start.
        folders: folders below it; missing ones are skipped.
        depth: how many levels of folders below these are searched.
    """

    def __init__(self, root: Path, folders: Sequence[str], depth: int) -> None:
        self._places: dict[str, int] = {}
        self._keys = Texts()
        self._sizes = array("q")
        for folder in folders:
            self._scan(root / folder, "" if folder == "." else f"{folder}/", depth)

    def find(self, name: str) -> tuple[str, int] | None:
        """Key and size of the video of that name, or None."""
        place = self._places.get(name)
        return None if place is None else (self._keys[place], self._sizes[place])

    def __len__(self) -> int:
        return len(self._places)

    def _scan(self, folder: Path, key: str, depth: int) -> None:
        if not folder.is_dir():
            return
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 (a path a file would take as long as all the rest)
            if suffix.lower() in SUFFIXES and not entry.name.startswith("."):
                status = _stat(entry) if stem not in self._places else None
                if status is not None and stat.S_ISREG(status.st_mode):
                    self._places[stem] = len(self._keys)
                    self._keys.append(key + entry.name)
                    self._sizes.append(status.st_size)
            elif depth and entry.is_dir() and not entry.name.startswith("."):
                self._scan(folder / entry.name, f"{key}{entry.name}/", depth - 1)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of a file, or of what a link leads to; None for a broken link."""
    try:
        return entry.stat()
    except OSError:
        return None


def capped(profile: Geometry, frames: int, size: int, gap: int) -> Geometry:
    """A profile's geometry for a dataset that is published with fewer and smaller frames, one window a video.

    Args:
        profile: the profile's; a smaller one stays as small.
        frames, size: the most frames and pixels of a side.
        gap: source frames from one frame to the next.
    """
    scale = profile.scale if profile.size <= size else size
    return Geometry(min(profile.frames, frames), gap, scale, min(profile.size, size), 1)


def _sorted_entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a list that hold something; line ends of any kind.

    Raises:
        BenchError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def group_of(key: str) -> str:
    """The group that a file name gives: ``v_Diving_g03`` for ``.../v_Diving_g03_c02.avi``; else a file is its own group."""
    match = _CLIP_OF_GROUP.fullmatch(PurePosixPath(key).stem)
    return match[1] if match else key


def fingerprint(classes: Sequence[str], clips: Sequence[ClipRef]) -> str:
    """SHA-256 over class names and every clip's key, size, label, split and group. Contents are not read."""
    digest = hashlib.sha256(f"[{json.dumps(list(classes))}, [".encode())
    for place, clip in enumerate(clips):  # one at a time: a large dataset's text takes more memory than its index
        row = json.dumps([clip.key, clip.size, clip.label, clip.split, clip.group])
        digest.update((", " * (place > 0) + row).encode())
    digest.update(b"]]")
    return digest.hexdigest()


def stamp(folder: Path, clips: Sequence[ClipRef]) -> str:
    """SHA-256 over what the system knows of every clip's file: size, time of its contents, time of its last change of any kind.

    It is another whenever a file may have changed, also one that was replaced by a file of the same size and time; and now and
    then without need. Contents are not read: for 13,000 files this takes a twentieth of a second, reading them a minute.
    """
    digest = hashlib.sha256()
    for clip in clips:
        try:
            status = os.stat(os.path.join(folder, clip.key))  # noqa: PTH116, PTH118 (a path a file would take as long again)
        except OSError:
            continue  # it went since it was listed; reading it will say so
        digest.update(
            f"{clip.key}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\0".encode(
                "utf-8", "surrogatepass"
            )
        )
    return digest.hexdigest()


def read_file(folder: Path, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
    """Decodes the file of one clip: uint8 ``(views, T, H, W, 3)``.

    Raises:
        UnreadableClip: with the reason.
    """
    from bench.data.decode import read_video

    return read_video(folder / clip.key, geometry)
