"""Finds test clips of which a nearly identical frame stands in a training clip too.

Frames are compared as thumbnails, in three steps, cheapest first: their mean brightness (two frames can be no closer than
their means are, so nothing is lost), a perceptual hash (the signs of the lowest cosine coefficients: blind to brightness and
contrast, hardly touched by re-encoding), and at last the pixels. Every training frame is a candidate, whatever its class.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import Geometry
from bench.core.errors import BenchError
from bench.core.files import read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THUMBNAILS = Geometry(frames=16, gap=4, scale=16, size=16, views=3)
"""What is decoded for the search: up to 48 frames of a video, every fourth one in windows from its start to its end."""

TEST_FRAMES = 16
"""How many frames of a test clip are looked for, evenly spaced, among all frames of the training clips."""

MOST_RMSE = 0.04
"""Pixels in [0, 1]; frames this close are called the same. Footage that merely resembles starts above 0.04."""

MOST_BITS = 12
"""Of 63. Frames of the same footage differ in up to 9, one pair in a thousand of other frames in 17 or less."""

LEAST_SPREAD = 0.02
"""Standard deviation of the pixels below which a frame (black, say) shows too little to be told from others."""

COLUMNS = ("test_file", "nearest_train_file", "frame_rmse")
"""Of the list as CSV."""

_ROWS, _TRAIN_BLOCK, _HASHED, _MEASURED = 32, 1 << 14, 1 << 13, 1 << 13


@dataclass(frozen=True)
class Leak:
    """A test clip and the training clip with the frame that is nearest to one of its own.

    Attributes:
        test, train: places in the arrays searched.
        rmse: root mean square difference of the two thumbnails, pixels in [0, 1].
    """

    test: int
    train: int
    rmse: float


def find(
    test: NDArray[np.uint8],
    train: NDArray[np.uint8],
    most_rmse: float = MOST_RMSE,
    most_bits: int = MOST_BITS,
) -> list[Leak]:
    """The leaked test clips, each with its nearest training clip, the nearest pairs first.

    Memory is bounded by the thumbnails' own: distances are made block by block.

    Args:
        test: uint8 thumbnails ``(n, F, H, W, 3)``.
        train: uint8 thumbnails ``(m, G, H, W, 3)``; G may be another number of frames.
        most_rmse: how far the pixels of a pair may differ.
        most_bits: how many bits of the hashes may differ; 63 compares the pixels of all pairs of like brightness.
    """
    import numpy as np

    test_frames, train_frames = test.reshape(-1, *test.shape[2:]), train.reshape(-1, *train.shape[2:])
    tested, trained = _Frames.of(test_frames), _Frames.of(train_frames)
    nearest: dict[int, Leak] = {}
    for start in range(0, len(tested.order), _ROWS):
        rows = tested.order[start : start + _ROWS]
        lowest, highest = tested.mean[rows[0]] - most_rmse, tested.mean[rows[-1]] + most_rmse
        first, last = np.searchsorted(trained.mean[trained.order], (lowest - 1e-6, highest + 1e-6))
        for block in range(first, last, _TRAIN_BLOCK):
            columns = trained.order[block : min(last, block + _TRAIN_BLOCK)]
            differing = np.bitwise_count(tested.hash[rows][:, None] ^ trained.hash[columns][None, :])
            row, column = np.nonzero(differing <= most_bits)
            for a, b, rmse in _close(test_frames, train_frames, rows[row], columns[column], most_rmse):
                leak = Leak(a // test.shape[1], b // train.shape[1], rmse)
                best = nearest.get(leak.test)
                if best is None or (leak.rmse, leak.train) < (best.rmse, best.train):
                    nearest[leak.test] = leak
    return sorted(nearest.values(), key=lambda leak: (leak.rmse, leak.test))


def frame_hashes(frames: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Perceptual hashes ``(N,)`` of RGB frames ``(N, H, W, 3)``, H and W at least 8: the signs of 63 cosine coefficients.

    They are those of the 8 lowest frequencies each way of the grey picture, without the constant.
    """
    import numpy as np
    from scipy.fft import dctn

    hashes = np.empty(len(frames), np.uint64)
    weights = np.array([0.299, 0.587, 0.114], np.float32)  # of RGB in luma, ITU-R BT.601
    bits = np.uint64(1) << np.arange(63, dtype=np.uint64)
    for start in range(0, len(frames), _HASHED):
        grey = frames[start : start + _HASHED].astype(np.float32) @ weights
        low = dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(grey), -1)[:, 1:]
        hashes[start : start + _HASHED] = ((low > 0) * bits).sum(axis=1, dtype=np.uint64)
    return hashes


def evenly(frames: int, count: int = TEST_FRAMES) -> list[int]:
    """``count`` places, evenly spaced from the first to the last of ``frames`` frames; all of them if they are fewer."""
    return list(range(frames)) if frames <= count else [round(i * (frames - 1) / (count - 1)) for i in range(count)]


@dataclass(frozen=True)
class _Frames:
    """What is known of frames: mean and hash of each, and the places of those that show something, by their mean."""

    mean: NDArray[np.float64]
    hash: NDArray[np.uint64]
    order: NDArray[np.int64]

    @staticmethod
    def of(frames: NDArray[np.uint8]) -> _Frames:
        import numpy as np

        mean, spread = np.empty(len(frames)), np.empty(len(frames))
        for start in range(0, len(frames), _HASHED):
            pixels = frames[start : start + _HASHED].reshape(-1, int(np.prod(frames.shape[1:]))) / 255
            mean[start : start + _HASHED], spread[start : start + _HASHED] = pixels.mean(axis=1), pixels.std(axis=1)
        order = np.argsort(mean, kind="stable")
        return _Frames(mean, frame_hashes(frames), order[spread[order] >= LEAST_SPREAD])


def _close(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8], own: NDArray[np.int64], other: NDArray[np.int64], most: float
) -> Iterator[tuple[int, int, float]]:
    """The pairs of these candidates whose pixels differ by at most ``most``."""
    import numpy as np

    for start in range(0, len(own), _MEASURED):
        a, b = own[start : start + _MEASURED], other[start : start + _MEASURED]
        difference = (ours[a].astype(np.float32) - theirs[b]).reshape(len(a), -1) / 255
        rmse = np.sqrt(np.square(difference).mean(axis=1))
        for place in np.flatnonzero(rmse <= most):
            yield int(a[place]), int(b[place]), float(rmse[place])


# ----------------------------------------------------------------------------------------------------------------------
# The list as a file


def file_name(dataset: str) -> str:
    """What the list of a dataset is called in a folder of lists, from the name that tables show."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', dataset).strip('-')}.csv"


def as_csv(leaks: Iterable[tuple[str, str, float]]) -> str:
    """Test clip, nearest training clip, RMSE; one line each after `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((test, train, f"{rmse:.4f}") for test, train, rmse in leaks)
    return text.getvalue()


def read_csv(path: Path) -> frozenset[str]:
    """The test clips that a list names; columns other than ``test_file`` are not looked at.

    Raises:
        BenchError: there is no such file, or it is no such list.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        if COLUMNS[0] not in (reader.fieldnames or ()):
            raise BenchError(f"{path}: no column '{COLUMNS[0]}' in its first line; expected {','.join(COLUMNS)}")
        return frozenset(line[COLUMNS[0]] for line in reader if line[COLUMNS[0]])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: cannot be read as a list of leaks: {error}") from error
