"""What datasets made of video files have in common: their listing, groups, fingerprint and reading."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.api import ClipRef, Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    """

    url: str
    folder: str
    what: str

    @property
    def file(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


class Fetchable(Listed):
    """A dataset with public archives."""

    @abstractmethod
    def archives(self) -> tuple[Archive, ...]:
        """What to fetch, in this order."""

    @abstractmethod
    def holds(self, archive: Archive) -> bool:
        """Whether all that the archive has to give is there already."""


def group_of(key: str) -> str:
    """The group that a file name tells: ``v_Diving_g03`` for ``.../v_Diving_g03_c02.avi``; else a file is its own group."""
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


def read_file(folder: Path, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
    """Decodes the file of one clip: uint8 ``(views, T, H, W, 3)``.

    Raises:
        UnreadableClip: with the reason.
    """
    from bench.data.decode import read_video

    return read_video(folder / clip.key, geometry)


def some(names: Sequence[str], count: int = 3) -> str:
    """The first of many names, for a message: ``a, b, c and 12 more``."""
    shown = ", ".join(names[:count])
    return f"{shown} and {len(names) - count:,} more" if len(names) > count else shown
