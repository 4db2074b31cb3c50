"""Makes ``ucf101-9c``, the real clips of this project's records, from UCF101's own archive.

    python experiments/ucf101_9c.py UCF-101 ucfTrainTestlist ucf101-9c
    python -m bench run --datasets folder:ucf101-9c

``UCF-101`` and ``ucfTrainTestlist`` are the folders that the two archives at https://www.crcv.ucf.edu/data/UCF101.php unpack
to. Of its first nine classes in the order of the alphabet, every clip is kept: the middle 64 frames (all, if there are
fewer), 170 x 128 pixels, H.264. A clip that is there already is not made again.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
from av.video.reformatter import Interpolation

CLASSES = 9
FRAMES = 64
WIDTH, HEIGHT = 170, 128
CODER = {"crf": "26", "preset": "veryslow", "g": str(FRAMES), "threads": "1"}
"""Of libx264. One thread, since several cut pictures into slices."""


class Clip(NamedTuple):
    """A clip: its path below both folders, without an ending, and what the official lists say of it."""

    name: str
    split: str

    def row(self) -> tuple[str, str, str, str]:
        """Its line of labels.csv: file, label, split, and the group of clips that were cut from one video."""
        label, stem = self.name.split("/")
        return f"{self.name}.mp4", label, self.split, stem.rpartition("_c")[0]


def listed(lists: Path) -> list[Clip]:
    """The clips of the first nine classes in split 1, by name."""
    clips = sorted(
        Clip(re.split(r"\.avi", line)[0], split)
        for split in ("train", "test")
        for line in (lists / f"{split}list01.txt").read_text(encoding="utf-8").splitlines()
        if line.strip()
    )
    classes = sorted({clip.name.split("/")[0] for clip in clips})[:CLASSES]
    return [clip for clip in clips if clip.name.split("/")[0] in classes]


def middle(frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames that are kept, scaled; without what the source's coder had decided about them."""
    first = max(0, (len(frames) - FRAMES) // 2)
    for frame in frames[first : first + FRAMES]:
        small = frame.reformat(WIDTH, HEIGHT, format="yuv420p", interpolation=Interpolation.AREA)
        yield av.VideoFrame.from_ndarray(small.to_ndarray(), format="yuv420p")


def make(source: Path, target: Path) -> None:
    """Makes one clip; ``target`` appears when it is whole."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        rate, frames = stream.average_rate, list(container.decode(stream))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=rate, options=CODER)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in middle(frames):
            container.mux(video.encode(frame))
        container.mux(video.encode())
    part.replace(target)


def _make(pair: tuple[Path, Path]) -> None:
    make(*pair)


def main() -> None:
    """Makes what is missing, and labels.csv."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", type=Path, help="the folder UCF-101")
    parser.add_argument("lists", type=Path, help="the folder ucfTrainTestlist")
    parser.add_argument("to", type=Path, help="the folder to make")
    args = parser.parse_args()
    clips = listed(args.lists)
    pairs = [(args.videos / f"{clip.name}.avi", args.to / f"{clip.name}.mp4") for clip in clips]
    lacking = [str(source) for source, _ in pairs if not source.is_file()]
    if lacking:
        parser.error(f"{len(lacking)} of {len(pairs)} clips are not there: {lacking[0]} ...")
    todo = [pair for pair in pairs if not pair[1].exists()]
    with multiprocessing.Pool() as pool:
        for count, _ in enumerate(pool.imap_unordered(_make, todo), 1):
            print(f"\r{count} of {len(todo)} clips", end="", flush=True)
    with (args.to / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("file", "label", "split", "group"), *(c.row() for c in clips)]
        )
    print(f"\n{len(clips)} clips in {args.to}")


if __name__ == "__main__":
    main()
