"""Many clips as columns: they hold what a tuple of `ClipRef` holds, in a fraction of its memory, and are quick to count."""

from __future__ import annotations

import operator
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, pairwise
from typing import Literal, final, overload

from bench.api import ClipRef

Side = Literal["train", "test"]

_OTHER_SIDE = bytes((1, 0)) + bytes(254)


@final
class Texts(Sequence[str]):
    """Strings one after another in UTF-8, with eight bytes more for each. It grows at its end only.

    For paths it takes less memory than NumPy's StringDType, which also refuses names that are not UTF-8.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("q", (0,))
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Adds a string."""
        # The system gives file names that are not UTF-8 with surrogates in them.
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        return self._bytes[self._ends[place] : self._ends[place + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self._ends):
            yield self._bytes[start:end].decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@final
class ClipTable(Sequence[ClipRef]):
    """Clips in a fixed order, a column for each field of `ClipRef`. A `ClipRef` is made when it is asked for.

    Args:
        clips: read one by one, so that a generator serves, and they never exist all at once.

    Attributes:
        keys: the key of each clip.
        labels: the label of each clip.
    """

    def __init__(self, clips: Iterable[ClipRef] = ()) -> None:
        self.keys = Texts()
        self.labels = array("i")
        self._test = bytearray()
        self._groups = Texts()  # empty where a clip is a group of its own
        self._sizes = array("q")
        for clip in clips:
            self.append(clip)

    def append(self, clip: ClipRef) -> None:
        """Adds a clip."""
        self.keys.append(clip.key)
        self.labels.append(clip.label)
        self._test.append(clip.split == "test")
        self._groups.append("" if clip.group == clip.key else clip.group)
        self._sizes.append(clip.size)

    def split(self, place: int) -> Side:
        """The split of one clip."""
        return "test" if self._test[place] else "train"

    def group(self, place: int) -> str:
        """The group of one clip."""
        return self._groups[place] or self.keys[place]

    def take(self, places: Iterable[int]) -> ClipTable:
        """The clips at these places, in this order."""
        return ClipTable(self[place] for place in places)

    def positions(self, side: Side) -> array[int]:
        """The places of the clips of a split, ascending."""
        return array("q", compress(range(len(self)), self._on(side)))

    def number(self, side: Side) -> int:
        """How many clips a split has."""
        return self._test.count(side == "test")

    def per_class(self, side: Side) -> Counter[int]:
        """Label to number of clips of a split."""
        return Counter(compress(self.labels, self._on(side)))

    def _on(self, side: Side) -> bytearray:
        return self._test if side == "test" else self._test.translate(_OTHER_SIDE)

    @overload
    def __getitem__(self, index: int) -> ClipRef: ...
    @overload
    def __getitem__(self, index: slice) -> ClipTable: ...
    def __getitem__(self, index: int | slice) -> ClipRef | ClipTable:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        place = range(len(self))[operator.index(index)]
        return ClipRef(self.keys[place], self.labels[place], self.split(place), self.group(place), self._sizes[place])

    def __iter__(self) -> Iterator[ClipRef]:
        columns = zip(self.keys, self.labels, self._test, self._groups, self._sizes, strict=True)
        for key, label, test, group, size in columns:
            yield ClipRef(key, label, "test" if test else "train", group or key, size)

    def __len__(self) -> int:
        return len(self.labels)

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def number(clips: Sequence[ClipRef], side: Side) -> int:
    """How many clips a split has. Quick for a table."""
    return clips.number(side) if isinstance(clips, ClipTable) else sum(clip.split == side for clip in clips)


def per_class(clips: Sequence[ClipRef], side: Side) -> Counter[int]:
    """Label to number of clips of a split. Quick for a table."""
    if isinstance(clips, ClipTable):
        return clips.per_class(side)
    return Counter(clip.label for clip in clips if clip.split == side)


def as_table(clips: Sequence[ClipRef]) -> ClipTable:
    """These clips as a table; a table comes back as it is."""
    return clips if isinstance(clips, ClipTable) else ClipTable(clips)


def _equal(one: Texts | ClipTable, other: object) -> bool:
    """Whether two columns or tables, or one of these and a tuple, hold the same."""
    if type(one) is type(other):
        return vars(one) == vars(other)
    return isinstance(other, tuple) and tuple(one) == other
