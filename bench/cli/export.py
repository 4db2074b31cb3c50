"""Write the clips of a stored set as video files with a labels.csv, as `folder:` reads them.

python -m bench export results/artefacts/3f2a... --to clips
python -m bench export results/artefacts/3f2a... --to clips --codec ffv1
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from pathlib import Path

from bench.cli.shared import add_plugin, load_parts
from bench.core.errors import BenchError
from bench.core.paths import possible

SUMMARY = "write a stored set's clips as videos with a labels.csv, for folder:"

_CODECS = ("libx264rgb", "ffv1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``export``."""
    parser.add_argument("path", type=possible, metavar="PATH", help="folder of a stored set")
    parser.add_argument("--to", type=possible, required=True, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument(
        "--codec", choices=_CODECS, default=_CODECS[0],
        help="both are lossless: H.264 in .mp4, which plays almost anywhere (libx264rgb, the default), or FFV1 in .mkv",
    )  # fmt: skip
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Renders and writes."""
    from bench.core.files import write_atomic
    from bench.report import pictures
    from bench.report.stored_clips import open_set, render

    stored = open_set(Path(args.path), load_parts(args.plugin))
    folder = Path(args.to)
    _make_empty(folder)
    suffix = pictures.EXACT[args.codec][0]
    digits = len(str(len(stored.labels) - 1))
    lines: list[tuple[str, str, str, str]] = []
    cut = 0.0
    for position, label in enumerate(stored.labels):
        clips, share = render(stored, [position])
        cut += share / len(stored.labels)
        name = f"{position:0{digits}d}_{_file_name(stored.classes[label])}"
        pictures.write_exact(folder / (name + suffix), clips[0], args.codec)
        lines.append((name + suffix, stored.classes[label], "train", name))
    # Written last, so that a folder that has it is complete.
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("file", "label", "split", "group"), *lines])
    try:
        write_atomic(folder / "labels.csv", text.getvalue().encode())
    except OSError as error:
        raise BenchError(f"--to {folder}: cannot write labels.csv ({error.strerror})") from error
    print(
        f"{folder}: {len(lines)} clips of {len(set(stored.labels))} classes, labels.csv; every pixel decodes exactly as it was rendered"
    )
    if cut:
        print(f"{100 * cut:.1f} % of the values lay outside the range of pixels and were clipped")
    print(
        "all clips are marked train, each in a group of its own, because a stored set has no test clips. `folder:` can read "
        "the folder as it is; to judge on test clips, add these to labels.csv with split test"
    )
    return 0


def _make_empty(folder: Path) -> None:
    """Makes the folder.

    Raises:
        BenchError: it holds something, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BenchError(f"--to {folder}: the folder is not empty; name a new one")
    except OSError as error:
        raise BenchError(f"--to {folder}: cannot make the folder ({error.strerror})") from error


def _file_name(name: str) -> str:
    """A class name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:40] or "class"
