"""Something-Something V2 as its licensees have it: 174 templates of what hands do with things, told apart by movement.

Source: Goyal et al., "The 'Something Something' Video Database for Learning and Evaluating Visual Common Sense", ICCV 2017.
Below the root lie ``20bn-something-something-v2/<id>.webm`` and ``labels.json``, ``train.json``, ``validation.json``, also under
the longer names of later releases. A clip's label is its template without brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import override

from bench.api import ClipIndex, ClipRef, Dataset, DeclaredSize, Geometry, NoOptions
from bench.core.errors import BenchError, MissingData
from bench.core.files import parse_json
from bench.data.clip_table import ClipTable, number
from bench.data.sources.list_checks import checked
from bench.data.sources.video_files import ByHand, Listing, VideosByName, capped, complete, read_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES, TRAIN, TEST = 174, 168_913, 24_777

FRAMES, SIZE = 8, 64
WHOLE_VIDEO = 1 << 16
"""A gap that no video is long enough for: the frames are then spread evenly over all of it."""

FOLDERS = ("20bn-something-something-v2", "videos", ".")
"""Where videos are looked for."""

_LISTS = tuple(
    folder + name
    for folder in ("", "labels/", "annotations/")
    for name in ("{}.json", "something-something-v2-{}.json")
)
_PAGE = "https://www.qualcomm.com/developer/software/something-something-v-2-dataset"


class SSv2(Dataset[NoOptions], ByHand):
    """174 actions with arbitrary things, the validation videos for testing: 168,913 + 24,777."""

    name: ClassVar[str] = "ssv2"
    default_profile = "paper"

    @override
    def declared(self) -> DeclaredSize:
        return DeclaredSize(CLASSES, TRAIN, TEST)

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        """At most 8 frames of 64x64, evenly spaced over the whole video."""
        return capped(profile, FRAMES, SIZE, WHOLE_VIDEO)

    @override
    def listing(self) -> Listing:
        """Every video that the lists name, training clips first.

        Raises:
            MissingData: a list is not there.
            BenchError: a list cannot be read, or the labels are not 174.
        """
        root = Path(self.root)
        paths = {name: _find_list(root, name) for name in ("labels", "train", "validation")}
        absent = [f"{name}.json" for name, path in paths.items() if path is None]
        if absent:
            raise MissingData(f"{self.name}: no {', '.join(absent)} in {root}. {self.how_to_get()}")
        labels_list, train, validation = (path for path in paths.values() if path is not None)
        classes = _classes(labels_list)
        labels = {name.lower(): label for label, name in enumerate(classes)}
        videos = VideosByName(root, FOLDERS, depth=0)
        missing: set[str] = set()

        def clips(path: Path, side: Literal["train", "test"]) -> Iterator[ClipRef]:
            for video, template in _entries(path):
                label = labels.get(re.sub(r"[\[\]]", "", template).lower())
                if label is None:
                    raise BenchError(f"{path}: video {video}: template '{template}' is not in {labels_list.name}")
                key, size = videos.find(video) or (f"{FOLDERS[0]}/{video}.webm", None)
                if size is None:
                    missing.add(key)
                yield ClipRef(key, label, side, key, size or 0)

        table = ClipTable(clips(train, "train"))
        for clip in clips(validation, "test"):
            table.append(clip)
        listed, notes = checked(f"{train} and {validation.name}", classes, table)
        return Listing(root, classes, listed, frozenset(missing), notes + _doubts(listed))

    @override
    def index(self, geometry: Geometry) -> ClipIndex:
        folder = Path(self.root) / FOLDERS[0]
        return complete(self.name, self.name, self.listing(), folder, self.how_to_get(), mirrors=False)

    @override
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        return read_file(Path(self.root), clip, geometry)

    @override
    def how_to_get(self) -> str:
        """Its licence has to be accepted."""
        return (
            f"Something-Something V2 is not to be had without accepting its licence: do that at {_PAGE}, download the labels "
            f"and all parts of the videos (about 20 GB), unpack them as that page says, and put {FOLDERS[0]}/, labels.json, "
            f"train.json and validation.json into {self.root}, or name the folder they are in with --root; or try the suite on "
            "procedural clips of the same shape with --stand-in"
        )


def _find_list(root: Path, name: str) -> Path | None:
    paths = (root / pattern.format(name) for pattern in _LISTS)
    return next((path for path in paths if path.is_file()), None)


def _classes(path: Path) -> tuple[str, ...]:
    """Label names in the order of their numbers."""
    try:
        numbers = parse_json(_text(path))
        numbered = {int(number): str(name) for name, number in numbers.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BenchError(f"{path}: cannot be read as labels with their numbers ({error})") from error
    if set(numbered) != set(range(CLASSES)) or len(numbers) != CLASSES:
        raise BenchError(
            f"{path}: {len(numbers)} labels with {len(numbered)} numbers; Something-Something V2 has {CLASSES}, "
            f"0 to {CLASSES - 1}"
        )
    return tuple(numbered[label] for label in range(CLASSES))


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Video id and template of each item of a list, parsed one by one: all at once would take ten times its text in memory."""
    text = _text(path)
    decoder = json.JSONDecoder()
    separator = re.compile(r"[\s,\[]*")
    place = _end_of(separator, text, 0)
    while place < len(text) and text[place] != "]":
        try:
            item, place = decoder.raw_decode(text, place)
            video, template = str(item["id"]), item["template"]
        except (ValueError, KeyError, TypeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise BenchError(f"{path}: cannot be read near character {place:,}: {reason}") from error
        if not re.fullmatch(r"\d+", video, re.ASCII) or not isinstance(template, str):
            raise BenchError(f"{path}: id '{video}' is not a number, or its template '{template}' is not text")
        yield video, template
        place = _end_of(separator, text, place)
    if place == len(text):
        raise BenchError(f"{path}: ends before its list does, after {place:,} characters")


def _end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    match: Any = pattern.match(text, place)  # it matches nothing, too
    return int(match.end())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: not in UTF-8: {error}") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error


def _doubts(clips: Sequence[ClipRef]) -> tuple[str, ...]:
    train, test = number(clips, "train"), number(clips, "test")
    if (train, test) == (TRAIN, TEST):
        return ()
    return (
        f"The lists name {train:,} training and {test:,} test videos; the published ones name {TRAIN:,} and {TEST:,}.",
    )
