"""Show a stored set: its manifest as a table, and its clips as a picture.

python -m bench show results/artefacts/3f2a...                   the manifest; writes 3f2a....png to this folder
python -m bench show results/artefacts/3f2a... --to clips.gif    animated, like .mp4; a .png has the frames side by side
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.shared import add_plugin, load_parts, positive
from bench.core.errors import BenchError
from bench.core.paths import possible
from bench.core.text import printable

if TYPE_CHECKING:
    from bench.report.stored_clips import Stored

SUMMARY = "print a stored set's manifest and write its clips as PNG, GIF or MP4"

_SUFFIXES = (".png", ".gif", ".mp4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``show``."""
    parser.add_argument("path", type=possible, metavar="PATH", help="folder of a stored set")
    parser.add_argument(
        "--to",
        type=possible,
        metavar="FILE",
        help="what to write: .png (frames side by side), .gif or .mp4 (default: <PATH's name>.png)",
    )
    parser.add_argument(
        "--most", type=positive, default=50, metavar="N", help="the most clips to show, evenly chosen (default: 50)"
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the manifest and writes the picture."""
    folder = Path(args.path)
    file = Path(args.to if args.to is not None else f"{folder.resolve().name[:12]}.png")
    if file.suffix.lower() not in _SUFFIXES:
        raise BenchError(f"--to: '{file}' must end in {', '.join(_SUFFIXES)}")
    from bench.report.stored_clips import open_set, render, spread

    stored = open_set(folder, load_parts(args.plugin))
    index = spread(len(stored.labels), args.most)
    clips, cut = render(stored, index)
    print(_manifest(stored))
    _write(file, clips, stored.names(index))
    shown = f"{len(index)} of {len(stored.labels)} clips" if len(index) < len(stored.labels) else f"{len(index)} clips"
    print(f"\n{file}: {shown}, {clips.shape[1]} frames of {clips.shape[3]}x{clips.shape[2]}" + _about_cut(cut))
    return 0


def _about_cut(share: float) -> str:
    """Says what was lost in the conversion to pixels, if anything."""
    return f"; {100 * share:.1f} % of the values lie outside the range of pixels and are clipped" if share else ""


def _write(file: Path, clips: object, names: list[str]) -> None:
    import numpy as np

    from bench.core.files import write_atomic
    from bench.report import pictures

    pixels = np.asarray(clips, np.uint8)
    names = [printable(name) for name in names]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() == ".png":
            write_atomic(file, pictures.png(pictures.contact_sheet(pixels, names)))
    except OSError as error:
        raise BenchError(f"cannot write {file}: {error.strerror or error}") from error
    if file.suffix.lower() == ".gif":
        pictures.write_gif(file, pictures.mosaic(pixels, names))
    elif file.suffix.lower() == ".mp4":
        pictures.write_mp4(file, pictures.mosaic(pixels, names))


def _manifest(stored: Stored) -> str:
    from tabulate import tabulate

    from bench.running.cell.costs import count_set
    from bench.tables.rows import setting_label

    cell, report = stored.cell, count_set(stored.synthetic, None)
    frames = cell.geometry["frames"]
    label = setting_label(cell.setting, frames)
    config = ", ".join(f"{name}={value}" for name, value in cell.config.items())
    per_class = {stored.labels.count(label) for label in set(stored.labels)}
    facts = {
        "kind": report.kind,
        "method": cell.method + (f" ({config})" if config else ""),
        "dataset": f"{cell.dataset}, {len(stored.classes)} classes",
        "profile": f"{cell.profile}: {cell.protocol}, {cell.network}",
        "IPC": "any" if cell.ipc is None else str(cell.ipc),
        "setting": cell.setting if label == cell.setting else f"{label} ({cell.setting})",
        "seed": "none" if cell.seed is None else str(cell.seed),
        "clips": f"{report.clips}, " + "-".join(map(str, sorted({min(per_class), max(per_class)}))) + " a class",
        "labels": "learned" if stored.synthetic.labels.is_floating_point() else "hard",
        "bytes": f"{report.storage_bytes:,} as stored, {report.storage_bytes_fp32:,} at four bytes a number",
        "cell": cell.id(),
    }
    tensors = [
        [printable(name), "x".join(map(str, tensor.shape)) or "1", tensor.dtype, f"{tensor.bytes:,}"]
        for name, tensor in report.tensors.items()
    ]
    lines = tabulate(
        [[name, printable(value)] for name, value in facts.items()], tablefmt="plain", disable_numparse=True
    )
    table = tabulate(
        tensors,
        ["tensor", "shape", "type", "bytes"],
        disable_numparse=True,
        colalign=["left", "right", "left", "right"],
    )
    return f"{lines}\n\n{table}"
