"""Which videos lie in someone's folder, and all that lies there and is not read: nothing is left out without a word."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, final

from bench.core.errors import BenchError
from bench.core.text import first_few
from bench.data.sources.video_files import SUFFIXES

SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val"}
"""How folders and lines of ``labels.csv`` name a split, in upper or lower case."""

_NO_VIDEO = "Files whose ending is not a video's"
_NOTHING = "Links that lead nowhere, and what is neither a file nor a folder"

LITTER = (".ds_store", "thumbs.db", "desktop.ini")
"""What systems leave in folders, beside ``._*``. It is passed over without a word."""


@dataclass(frozen=True)
class Found:
    """A video and what its folders say of it; ``split`` is a value of `SPLITS` or empty."""

    key: str
    label: str
    split: str


@final
class LeftOut:
    """Collects what is not read, by reason."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, what: str, name: str) -> None:
        """Adds a file or folder; ``what`` is a plural that says why it is left out."""
        self._names.setdefault(what, []).append(legible(name))

    def holds(self, what: str, name: str) -> bool:
        """Whether it was added so."""
        return legible(name) in self._names.get(what, ())

    def take(self, other: LeftOut) -> None:
        """Adds all of another collection."""
        for what, names in other._names.items():
            self._names.setdefault(what, []).extend(names)

    def sentences(self) -> list[str]:
        """One for each reason."""
        return [
            f"{what} are left out: {len(names):,} ({first_few(sorted(names))})."
            for what, names in sorted(self._names.items())
        ]


def scan(root: Path, left: LeftOut) -> tuple[list[Found], list[str]]:
    """The videos below the class folders of ``root``, or of its ``train``, ``test`` and ``val``; and what is to be said of them.

    Files come in the order of their names, folder by folder. Links are followed, but for those that lead back up.

    Raises:
        BenchError: the folder cannot be opened, or two folders have the clips of one split.
    """
    notes: list[str] = []
    try:
        folders = _class_folders(root, "", left)
    except OSError as error:
        raise BenchError(f"{root}: cannot be opened ({error.strerror})") from error
    splits = sorted((SPLITS[name.lower()], name) for name in folders if name.lower() in SPLITS)
    roles = {role for role, _ in splits}
    for role in sorted(roles):
        named_so = [name for of, name in splits if of == role]
        if len(named_so) > 1:
            raise BenchError(f"{root}: {' and '.join(f'{name}/' for name in named_so)} are one split; keep one of them")
    if "train" in roles and len(roles) > 1:
        named = {name for _, name in splits}
        for name in folders:
            if name not in named:
                left.add("Folders beside train and test", f"{name}/")
        parents = [(role, f"{name}/", _opened(root / name, f"{name}/", left)) for role, name in splits]
    else:
        parents = [("", "", folders)]
        notes += [
            f"Folder '{name}' is taken for a class: train and test, or train and val, must lie beside each other."
            for _, name in splits
        ]
    found = [
        Found(key, unicodedata.normalize("NFC", name), role)
        for role, parent, names in parents
        for name in names
        for key in _class_videos(root, f"{parent}{name}/", left)
    ]
    return found, notes + _joined({name for _, _, names in parents for name in names})


def videos_below(root: Path) -> Iterator[str]:
    """The keys of all videos below a folder."""
    return _videos(root, "", LeftOut(), frozenset())


def legible(name: str) -> str:
    """A name with what is not UTF-8 in it written as ``\\\\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Whether a file name can be kept in a record."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _class_folders(folder: Path, key: str, left: LeftOut) -> list[str]:
    """The names of the folders in a folder; everything else in it is left out."""
    names = []
    for entry in _entries(folder, key, left):
        kind = _kind(entry)
        if kind == "folder":
            names.append(entry.name)
        elif kind == "nothing":
            left.add(_NOTHING, key + entry.name)
        elif _is_video(entry.name):
            left.add("Videos that lie in no class folder", key + entry.name)
        else:
            left.add(_NO_VIDEO, key + entry.name)
    return names


def _opened(folder: Path, key: str, left: LeftOut) -> list[str]:
    try:
        return _class_folders(folder, key, left)
    except OSError:
        left.add("Folders that cannot be opened", key)
        return []


def _class_videos(root: Path, key: str, left: LeftOut) -> list[str]:
    aside = LeftOut()
    keys = list(_videos(root / key, key, aside, frozenset()))
    if not keys and not aside.holds("Folders that cannot be opened", key):
        left.add("Class folders without a video", key)
    left.take(aside)
    return keys


def _videos(folder: Path, key: str, left: LeftOut, above: AbstractSet[tuple[int, int]]) -> Iterator[str]:
    try:
        status = folder.stat()
        entries = list(_entries(folder, key, left))
    except OSError:
        left.add("Folders that cannot be opened", key)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        left.add("Links that lead back to a folder above them", key)
        return
    for entry in entries:
        kind = _kind(entry)
        if kind == "folder":
            yield from _videos(folder / entry.name, f"{key}{entry.name}/", left, above | {here})
        elif kind == "nothing":
            left.add(_NOTHING, key + entry.name)
        elif not _is_video(entry.name):
            left.add(_NO_VIDEO, key + entry.name)
        else:
            yield key + entry.name


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder", "nothing"]:
    """What an entry is, or what its link leads to."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "nothing"
    except OSError:  # a link to itself, or through a folder that this user may not open
        return "nothing"


def _entries(folder: Path, key: str, left: LeftOut) -> Iterator[os.DirEntry[str]]:
    """What may be of use in a folder, by name.

    Raises:
        OSError: it cannot be opened.
    """
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.lower() in LITTER or entry.name.startswith("._"):
            continue
        if entry.name.startswith("."):
            left.add("Hidden files and folders", key + entry.name)
        elif not is_utf8(entry.name):
            left.add("Files and folders whose names are not UTF-8", key + entry.name)
        else:
            yield entry


def _is_video(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _joined(names: AbstractSet[str]) -> list[str]:
    """A sentence on folders whose names are the same to a reader, and differ only in how letters are put together."""
    spellings: dict[str, list[str]] = {}
    for name in sorted(names):
        spellings.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    joined = [label for label, spelled in spellings.items() if len(spelled) > 1]
    return [f"Class folders with the same name in two encodings are one class: {first_few(joined)}."] if joined else []
