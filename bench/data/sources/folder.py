"""Anyone's own clips, ``folder:PATH``, in one of three layouts.

- ``labels.csv`` in the folder: columns ``file`` (below the folder), ``label`` and, if you like, ``split`` and ``group``;
- ``train/`` and ``test/`` (or ``val/``), each with one folder per class;
- one folder per class.

Where no split is given, one is drawn group by group. A validation split is used as the test split if there is no other, and
joins the training split otherwise: the suite sets a validation part aside by itself. What is not read is said.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, CountOrZero, Dataset, Geometry
from bench.core.errors import BenchError, MissingData
from bench.core.files import read_text
from bench.core.paths import possible_path
from bench.core.text import first_few
from bench.data.sources.folder_scan import SPLITS, LeftOut, is_utf8, legible, scan, videos_below
from bench.data.sources.list_checks import told_apart
from bench.data.sources.video_files import SUFFIXES, Listed, Listing, group_of, indexed, read_file
from bench.data.splits import draw_split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LABELS = "labels.csv"
_LAYOUTS = (
    "expected labels.csv (file,label[,split][,group]), or train/ and test/ with a folder per class, "
    f"or one folder per class; videos end in {' '.join(SUFFIXES)}"
)


@dataclass(frozen=True)
class FolderOptions:
    """Options of a folder of clips.

    Attributes:
        split_seed: of the split that is drawn where none is given.
        mirror: whether a clip that is mirrored left to right still shows its class, so that a protocol may mirror it.
    """

    split_seed: CountOrZero = 0
    mirror: bool = False


@dataclass(frozen=True)
class _Row:
    """One video as the folder states it; ``split`` is ``train``, ``test``, ``val`` or empty."""

    key: str
    label: str
    split: str
    group: str


class Folder(Dataset[FolderOptions], Listed):
    """A folder of labelled clips."""

    name: ClassVar[str] = "folder"
    Config: ClassVar[type] = FolderOptions
    takes_argument: ClassVar[bool] = True

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return profile

    @override
    def listing(self) -> Listing:
        """Every video that ``labels.csv`` or the folders name.

        Raises:
            MissingData: no such folder, or no videos in it.
            BenchError: mistakes in ``labels.csv``, all in one message; or no usable split.
        """
        folder = self._folder()
        if not folder.is_dir():
            raise MissingData(f"folder:{self.argument}: no such folder")
        if not is_utf8(folder.name):
            raise BenchError(
                f"folder:{legible(self.argument)}: the folder's name is not UTF-8; rename it, or link to it"
            )
        rows, said = _rows(folder)
        if not rows:
            raise MissingData(" ".join([f"folder:{self.argument}: no labelled videos; {_LAYOUTS}.", *said]))
        rows, notes = _settle_splits(rows, self.options.split_seed)
        classes = tuple(sorted({row.label for row in rows}))
        labels = {name: label for label, name in enumerate(classes)}
        sizes = {row.key: _size(folder / row.key) for row in rows}
        clips = tuple(
            ClipRef(
                row.key, labels[row.label], "test" if row.split == "test" else "train", row.group, sizes[row.key] or 0
            )
            for row in rows
        )
        missing = frozenset(key for key, size in sizes.items() if size is None)
        _check_classes(f"folder:{self.argument}", classes, clips)
        alike = told_apart(f"folder:{self.argument}", classes)
        return Listing(folder, classes, clips, missing, (*notes, *_doubts(classes, clips), *alike, *said))

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        """Lists the videos; the notes say which split was drawn and what looks wrong with one that was given."""
        listing = self.listing()
        if listing.missing:
            raise MissingData(
                f"folder:{self.argument}: {len(listing.missing):,} of {len(listing.clips):,} files named in {_LABELS} "
                f"are missing: {first_few(sorted(listing.missing))}"
            )
        title = f"folder:{self._folder().name}"
        index = indexed(title, listing.folder, listing.classes, listing.clips, listing.notes, self.options.mirror)
        if not self.options.mirror:
            return index
        return replace(index, fingerprint=hashlib.sha256(f"{index.fingerprint} mirrored".encode()).hexdigest())

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        return read_file(self._folder(), clip, geometry)

    def _folder(self) -> Path:
        path = os.path.expanduser(self.argument)  # noqa: PTH111 (an unknown user's folder is none)
        return possible_path(os.path.abspath(path))  # noqa: PTH100 (links keep their names)


# ----------------------------------------------------------------------------------------------------------------------
# What the folder says


def _rows(folder: Path) -> tuple[list[_Row], list[str]]:
    """The videos that are named, and sentences on what is not read."""
    left = LeftOut()
    if os.path.lexists(folder / _LABELS):  # a link that leads nowhere, too: no other split is drawn in its place
        rows = _read_csv(folder / _LABELS)
        named = {row.key for row in rows}
        for key in videos_below(folder):
            if key not in named:
                left.add(f"Videos that {_LABELS} does not name", key)
        return rows, left.sentences()
    found, notes = scan(folder, left)
    return [_Row(video.key, video.label, video.split, group_of(video.key)) for video in found], notes + left.sentences()


def _read_csv(path: Path) -> list[_Row]:
    """Reads ``labels.csv``.

    Raises:
        BenchError: the first five mistakes with their line numbers, and how many there are.
    """
    try:
        text = read_text(path)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error
    header = [name.strip().lower() for name in lines[0][1]] if lines else []
    unknown = [name for name in header if name not in ("file", "label", "split", "group")]
    if not {"file", "label"} <= set(header) or len(set(header)) < len(header) or unknown:
        raise BenchError(
            f"{path}: line 1 is '{','.join(header)}'; needed: file,label and, if wanted, split and group, each once"
        )
    rows: list[_Row] = []
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    for number, line in lines[1:]:
        if not any(field.strip() for field in line):
            continue
        wrong = _line_mistakes(header, line)
        values = {name: field.strip() for name, field in zip(header, line, strict=False)}
        key = PurePosixPath(values.get("file", "")).as_posix()
        if not wrong and key in seen:
            wrong = [f"'{key}' stands already in line {seen[key]}"]
        if wrong:
            mistakes.append(f"line {number}: {', '.join(wrong)}")
            continue
        seen[key] = number
        split = SPLITS.get(values.get("split", "").lower(), "")
        rows.append(
            _Row(key, unicodedata.normalize("NFC", values["label"]), split, values.get("group") or group_of(key))
        )
    if rows and not all(row.split for row in rows) and any(row.split for row in rows):
        without = [seen[row.key] for row in rows if not row.split]
        mistakes += [f"line {number}: no split, though other lines have one" for number in without]
    if mistakes:
        raise BenchError(f"{path}: {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}: {_first(mistakes, 5)}")
    return rows


def _line_mistakes(header: Sequence[str], line: Sequence[str]) -> list[str]:
    if len(line) != len(header):
        return [f"{len(line)} fields instead of {len(header)}"]
    values: Mapping[str, str] = dict(zip(header, (field.strip() for field in line), strict=True))
    wrong = [f"no {name}" for name in ("file", "label") if not values[name]]
    if values["file"] and _leaves(values["file"]):
        wrong.append(f"'{values['file']}' is not below the folder")
    if values.get("split") and values["split"].lower() not in SPLITS:
        wrong.append(f"split '{values['split']}' is not train, test or val")
    return wrong


def _leaves(file: str) -> bool:
    """Whether a path could lie outside the folder it is relative to."""
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    return posix.is_absolute() or bool(windows.anchor) or ".." in posix.parts or ".." in windows.parts


def _first(items: Sequence[str], count: int) -> str:
    return "; ".join(items[:count]) + ("; ..." if len(items) > count else "")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


# ----------------------------------------------------------------------------------------------------------------------
# Splits


def _settle_splits(rows: Sequence[_Row], seed: int) -> tuple[list[_Row], list[str]]:
    """Every row with ``train`` or ``test``, and notes on how it came to it."""
    if not any(row.split for row in rows):
        return _draw(rows, seed)
    given = Counter(row.split for row in rows)
    if not given["val"]:
        return list(rows), []
    role = "train" if given["test"] else "test"
    settled = [_Row(row.key, row.label, role if row.split == "val" else row.split, row.group) for row in rows]
    return settled, [f"The {given['val']:,} validation clips count as {role} clips."]


def _draw(rows: Sequence[_Row], seed: int) -> tuple[list[_Row], list[str]]:
    labels = {name: label for label, name in enumerate(sorted({row.label for row in rows}))}
    splits = draw_split([labels[row.label] for row in rows], [row.group for row in rows], seed)
    settled = [_Row(row.key, row.label, split, row.group) for row, split in zip(rows, splits, strict=True)]
    sides = [
        f"{splits.count(side):,} clips of {len({row.group for row in settled if row.split == side}):,} groups to {side}"
        for side in ("train", "test")
    ]
    return settled, [f"No split is given; one was drawn by group with split_seed={seed}: {' and '.join(sides)}."]


def _check_classes(where: str, classes: Sequence[str], clips: Sequence[ClipRef]) -> None:
    if len(classes) < 2:
        raise BenchError(f"{where}: only one class ('{classes[0]}') was found, two are needed; {_LAYOUTS}")
    count = Counter((clip.split, clip.label) for clip in clips)
    untrained = [name for label, name in enumerate(classes) if not count["train", label]]
    if untrained:
        raise BenchError(f"{where}: no training clip of class {first_few(untrained)}")


def _doubts(classes: Sequence[str], clips: Sequence[ClipRef]) -> list[str]:
    """What a split may be wrong about."""
    tested = {clip.label for clip in clips if clip.split == "test"}
    if not tested:
        return ["No test clip: nothing can be judged on test clips."]
    untested = [name for label, name in enumerate(classes) if label not in tested]
    both = {clip.group for clip in clips if clip.split == "train"} & {c.group for c in clips if c.split == "test"}
    notes = [f"No test clip of class {first_few(untested)}."] if untested else []
    notes += [f"Groups on both sides of the split: {len(both):,} ({first_few(sorted(both))})."] if both else []
    return notes
