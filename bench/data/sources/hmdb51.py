"""HMDB51 with its official splits, and with every clip that is not for testing in train, as the distillation papers take it.

Source: Kuehne et al., "HMDB: A Large Video Database for Human Motion Recognition", ICCV 2011. Below the root, or in one of the
folders that the usual scripts make, lie ``<class>/<clip>.avi`` and ``<class>_test_split<k>.txt`` with lines ``clip.avi 0|1|2``:
unused, train, test.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
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
    numbered_lines,
    read_file,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES = 51
TEST, OFFICIAL_TRAIN, ALL_TRAIN = 1530, 3570, 5236
"""Clips of every split: 30 and 70 a class, and all that are not for testing."""

CLIPS = ("hmdb51_org", "videos", "hmdb51", ".")
"""Folders that class folders are looked for in; the first is where they are unpacked to."""

LISTS = ("testTrainMulti_7030_splits", "test_train_splits", "splits", "annotations", ".")
"""Folders that split lists are looked for in; the first is what the archive holds."""

_SERVER = "https://serre-lab.clps.brown.edu/wp-content/uploads/2013/10"
ARCHIVES = (
    Archive(f"{_SERVER}/test_train_splits.rar", LISTS[0], "the split lists, small"),
    Archive(f"{_SERVER}/hmdb51_org.rar", CLIPS[0], "the clips, about 2 GB, a RAR archive of 51 others"),
)

_CLIP_LINE = re.compile(r"(?P<file>[^/\\]+\.avi)\s+(?P<part>[012])", re.IGNORECASE)


@dataclass(frozen=True)
class HMDBOptions:
    """Options of HMDB51.

    Attributes:
        split: which of the three official train/test splits.
    """

    split: Literal[1, 2, 3] = 1


class HMDB(Dataset[HMDBOptions], Fetchable):
    """What both datasets share; they differ in what becomes of the clips that a split does not use."""

    Config: ClassVar[type] = HMDBOptions
    default_profile = "paper"

    @abstractmethod
    def trains_on(self, part: str) -> bool:
        """Whether clips with that sign in the lists (0: unused, 1: train) are training clips."""

    @abstractmethod
    @override
    def declared(self) -> DeclaredSize:
        """The same for each of the three splits."""

    @override
    def geometry(self, profile: Geometry) -> Geometry:
        return profile

    @override
    def listing(self) -> Listing:
        """Every clip that the lists give a part, training clips first.

        Raises:
            MissingData: there are no lists.
            BenchError: a line cannot be read, the lists are not those of 51 classes, or they contradict each other.
        """
        root, split = Path(self.root), self.options.split
        lists = find_lists(root, split)
        if not lists:
            raise MissingData(
                f"{self.name}: no split lists (*_test_split{split}.txt) in {root / LISTS[0]}. {how_to_get(self.name, root)}"
            )
        if len(lists) != CLASSES:
            raise BenchError(
                f"{next(iter(lists.values())).parent}: lists of {len(lists)} classes for split {split}; HMDB51 has {CLASSES}"
            )
        folders = find_clips(root, tuple(lists))
        train: list[ClipRef] = []
        test: list[ClipRef] = []
        missing: set[str] = set()
        for label, (action, path) in enumerate(lists.items()):
            for file, part in _parts(path):
                if part != "2" and not self.trains_on(part):
                    continue
                key, size = folders.find(action, file)
                own, side = (test, "test") if part == "2" else (train, "train")
                own.append(ClipRef(key, label, side, source_of(key, action), size or 0))  # type: ignore[arg-type]
                if size is None:
                    missing.add(key)
        where = f"{next(iter(lists.values())).parent} (split {split})"
        listed, notes = checked(where, tuple(lists), (*train, *test))
        notes += told_apart(where, tuple(lists))
        notes += _doubts(self.declared(), number(listed, "train"), number(listed, "test")) + _shared_sources(
            train, test
        )
        return Listing(root, tuple(lists), listed, frozenset(missing), notes)

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
        """The lists lie in one folder; the clips in an archive a class, inside another one."""
        import tempfile

        from bench.data import download

        root = Path(self.root)
        if archive.folder == LISTS[0]:
            download.unpack(path, root, archive.folder)
            return
        with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as fresh:
            download.unpack_files(path, Path(fresh))
            for inner in sorted(Path(fresh).glob("*.rar")):
                download.unpack(inner, root / archive.folder, inner.stem)

    @override
    def holds(self, archive: Archive) -> bool:
        """Whether the lists of this split are there, or all the clips they name."""
        if archive.folder == LISTS[0]:
            return bool(find_lists(Path(self.root), self.options.split))
        return not self.listing().missing


class HMDB51(HMDB):
    """51 human actions, the official splits: 70 training and 30 test clips a class."""

    name: ClassVar[str] = "hmdb51"

    @override
    def trains_on(self, part: str) -> bool:
        """Only those marked so."""
        return part == "1"

    @override
    def declared(self) -> DeclaredSize:
        return DeclaredSize(CLASSES, OFFICIAL_TRAIN, TEST)


class HMDB51AllTrain(HMDB):
    """HMDB51 with every clip that is not for testing in train, as the published distillation code has it."""

    name: ClassVar[str] = "hmdb51-all-train"

    @override
    def trains_on(self, part: str) -> bool:
        """Also the unused ones."""
        return True

    @override
    def declared(self) -> DeclaredSize:
        return DeclaredSize(CLASSES, ALL_TRAIN, TEST)


# ----------------------------------------------------------------------------------------------------------------------
# What both are made of


def find_lists(root: Path, split: int) -> dict[str, Path]:
    """Class name to its list for a split, in the order of names; empty where there are none."""
    ending = f"_test_split{split}.txt"
    for folder in LISTS:
        for place in (root / folder, root / folder / LISTS[0]):
            lists = sorted(place.glob(f"*{ending}")) if place.is_dir() else []
            if lists:
                by_class = {path.name.removesuffix(ending): path for path in lists}
                return {action: by_class[action] for action in sorted(by_class)}
    return {}


def find_clips(root: Path, classes: tuple[str, ...]) -> ClassFolders:
    """The class folders: of the usual places the first that has one of the classes."""
    places = [ClassFolders(root, folder) for folder in CLIPS]
    return next((place for place in places if any(action in place for action in classes)), places[0])


def source_of(key: str, action: str) -> str:
    """The film or video a clip is cut from: what its name says before class, body part, camera and so on; else the key.

    Its clips of other classes are of the same source.
    """
    described = rf"(.+)_{re.escape(action)}_[a-z]+_[cn]m_np\d+_[a-z]+_[a-z]+_\d+"
    match = re.fullmatch(described, PurePosixPath(key).stem, re.IGNORECASE)
    return match[1] if match else key


def how_to_get(name: str, root: Path) -> str:
    """What to do when data are missing."""
    urls = " and ".join(archive.url for archive in ARCHIVES)
    return (
        f"Get them with 'python -m bench data fetch {name} --root {root}', or put {urls} into {root} by hand and give the "
        f"same command; if <class>/<clip>.avi and the split lists lie elsewhere, name the folder they are in with --root; "
        "or try the suite on procedural clips of the same shape with --stand-in"
    )


def _parts(path: Path) -> Iterator[tuple[str, str]]:
    """File name and sign of each line of a list."""
    for place, line in numbered_lines(path):
        match = _CLIP_LINE.fullmatch(line)
        if match is None:
            raise BenchError(f"{path}: line {place}: '{line}' is not 'clip.avi 0', 1 or 2")
        yield match["file"], match["part"]


def _doubts(size: DeclaredSize, train: int, test: int) -> tuple[str, ...]:
    if (train, test) == (size.train, size.test):
        return ()
    return (
        f"The lists name {train:,} training and {test:,} test clips; "
        f"the published ones name {size.train:,} and {size.test:,}.",
    )


def _shared_sources(train: list[ClipRef], test: list[ClipRef]) -> tuple[str, ...]:
    """What a table's reader should know of footage on both sides of the split."""
    both = {clip.group for clip in train} & {clip.group for clip in test}
    if not both:
        return ()
    affected = sum(clip.group in both for clip in test)
    return (f"{affected:,} of {len(test):,} test clips are cut from a video of which a training clip is cut, too.",)
