"""Write the report: one self-contained HTML file with every table, plot and clip.

python -m bench report                                  writes results/report.html from the records of results/
python -m bench report --datasets folder:CLIPS          also shows real clips (records do not say where a folder is)
python -m bench report --clips 0                        without clips
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cli.shared import add_plugin, load_parts, read_records
from bench.core import paths
from bench.core.errors import BenchError
from bench.core.files import is_stream, write_atomic
from bench.core.paths import possible
from bench.core.text import printable
from bench.results.records import Record
from bench.tables.leak_lists import read_leaks
from bench.tables.leaks import Leaks

SUMMARY = "write one HTML file with every table, plot and clip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report``."""
    parser.add_argument(
        "--out", type=possible, default="results", metavar="DIR", help="folder of the records (default: results)"
    )
    parser.add_argument("--to", type=possible, metavar="FILE", help="the file to write (default: DIR/report.html)")
    parser.add_argument(
        "--clips", type=int, default=4, metavar="N", help="how many classes to show clips of (default: 4)"
    )
    parser.add_argument(
        "--datasets", action="append", default=[], metavar="D",
        help="where real clips are, for comparison; may be repeated. They are shown if the cache has them decoded",
    )  # fmt: skip
    parser.add_argument(
        "--root",
        type=possible,
        metavar="DIR",
        help="the folder of these datasets (default: data/NAME, or BENCH_DATA/NAME)",
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Reads the records, renders clips, writes the page."""
    from bench.report import sprites
    from bench.report.content import content
    from bench.report.page import page
    from bench.tables.published import figures_of

    if args.clips < 0:
        raise BenchError(f"--clips: {args.clips} is not at least 0")
    out = Path(args.out)
    file = Path(args.to) if args.to is not None else out / "report.html"
    if file.resolve().parent == (out / "cells").resolve():
        raise BenchError(f"--to {file}: this folder holds the records; choose another one")
    warn: list[str] = []
    records = read_records(out, history=True)
    manifests = sprites.manifests(records, out)
    clips, real = {}, {}
    shown = sprites.shown_records(records, out) if args.clips else []
    if args.clips and (lacking := sprites.gone(records, out)):
        warn.append(f"{lacking:,} sets are not in {out / 'artefacts'}; their clips are not shown")
    if shown or args.datasets:
        from bench.data.spec import parse_dataset

        registries = load_parts(args.plugin)
        named = [parse_dataset(text, registries, args.root) for text in args.datasets]
    if shown:
        clips = sprites.distilled(shown, out, registries, args.clips, warn)
        real = sprites.real(shown, manifests, named, registries, paths.cache_root(), args.clips)
    names = {fingerprint: [str(name) for name in manifest["classes"]] for fingerprint, manifest in manifests.items()}
    text = page(content(records, figures_of(out), names, clips, real, _leaks(out, records)))
    try:
        write_atomic(file, text.encode())
    except OSError as error:
        raise BenchError(f"cannot write {file}: {error.strerror or error}") from error
    for line in warn:
        print(f"warning: {printable(line)}", file=sys.stderr)
    beside = ", real ones beside them" if real else ""
    sets = f"; clips of {len(clips)} sets{beside}" if clips else ""
    summary = f"{file}: {len(records):,} records{sets}, {len(text.encode()) / 2**20:.1f} MiB"
    print(summary, file=sys.stderr if is_stream(file) else sys.stdout)
    return 0


def _leaks(out: Path, records: Sequence[Record]) -> Leaks | None:
    """The leaked test clips that DIR/leaks lists; None if there is no list, or no record says which clips it tested."""
    if (out / "leaks").is_dir():
        with contextlib.suppress(BenchError):
            return read_leaks(out, "", records)
    return None
