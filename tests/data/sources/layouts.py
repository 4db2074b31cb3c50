"""Makes the large datasets' layouts on disk: their folders, lists and names, with a tiny clip that is linked many times."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.data import videos

Fill = Callable[[Path, int], None]
"""Makes the clip at a path; told the how-manieth it is."""

HMDB_CLASSES = re.findall(
    r"\w+",
    "brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat fall_floor fencing flic_flac "
    "golf handstand hit hug jump kick kick_ball kiss laugh pick pour pullup punch push pushup ride_bike ride_horse run "
    "shake_hands shoot_ball shoot_bow shoot_gun sit situp smile smoke somersault stand swing_baseball sword sword_exercise "
    "talk throw turn walk wave",
)


def linked(root: Path, suffix: str, frames: int = 8, broken: Sequence[int] = (), absent: Sequence[int] = ()) -> Fill:
    """Clips that are all one file; the ``broken`` ones are empty, the ``absent`` ones are not made.

    Args:
        root: where the one file lies.
        suffix: of a codec of `videos.CODECS`.
        frames: of the clip.
        broken, absent: which clips, counted from 0 in the order in which they are made.
    """
    images = [np.full((24, 32, 3), 9 * k, np.uint8) for k in range(frames)]
    one = videos.write(root / f"one.{suffix}", images, suffix)

    def fill(path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if number in broken:
            path.touch()
        elif number not in absent:
            os.link(one, path)

    return fill


def small(path: Path, number: int) -> None:
    """A file of three bytes, for what only counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"avi")


def hmdb(
    root: Path,
    fill: Fill,
    parts: Callable[[int], str],
    clips: str = "hmdb51_org",
    lists: str = "testTrainMulti_7030_splits",
    split: int = 1,
) -> None:
    """HMDB51: ``parts(label)`` is the sign of each clip of a class, such as ``1120``; two clips are cut from each film."""
    (root / lists).mkdir(parents=True, exist_ok=True)
    number = 0
    for label, action in enumerate(HMDB_CLASSES):
        lines = []
        for i, part in enumerate(parts(label)):
            name = f"#{i // 2}_Film_(x)_{action}_u_cm_np1_fr_med_{i}.avi"
            lines.append(f"{name} {part} \r\n")
            fill(root / clips / action / name, number)
            number += 1
        (root / lists / f"{action}_test_split{split}.txt").write_bytes("".join(lines).encode())


def kinetics(
    root: Path,
    fill: Fill,
    train: int,
    val: int,
    classes: int = 400,
    flat: bool = False,
    annotations: str = "annotations/{}.csv",
    suffix: str = ".mp4",
) -> None:
    """Kinetics-400: ``train`` and ``val`` clips a class, in folders by label or (``flat``) as the archives hold them."""
    number = 0
    for side, count in (("train", train), ("val", val)):
        path = root / annotations.format(side)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            for i in range(count):
                for label in range(classes):
                    name = f"action {label:03d} (it's)"
                    tube = f"-_{side[0]}{label:04d}{i:04d}"
                    writer.writerow([name, tube, 3 * i, 3 * i + 10, "validate" if side == "val" else side])
                    file_name = f"{tube}_{3 * i:06d}_{3 * i + 10:06d}{suffix}"
                    fill(root / side / ("" if flat else name) / file_name, number)
                    number += 1


def ssv2(
    root: Path,
    fill: Fill,
    train: int,
    val: int,
    classes: int = 174,
    names: str = "{}.json",
    suffix: str = ".webm",
) -> None:
    """Something-Something V2: ``train`` and ``val`` clips a class."""
    labels = [f"Moving something {label:03d} next to something" for label in range(classes)]
    path = root / names.format("labels")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({label: str(number) for number, label in enumerate(labels)}))
    number = 0
    for side, count in (("train", train), ("validation", val)):
        rows = []
        for _ in range(count):
            for label in range(classes):
                number += 1
                template = f"Moving [something] {label:03d} next to [something]"
                said = f"moving a \u00e9 {label:03d} next to [b]"
                rows.append({"id": str(number), "label": said, "template": template, "placeholders": ["a \u00e9", "b"]})
                fill(root / "20bn-something-something-v2" / f"{number}{suffix}", number - 1)
        (root / names.format(side)).write_text(json.dumps(rows))
