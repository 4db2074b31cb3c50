"""Print tables of results, computed from the records.

python -m bench table                      the leaderboards of results/
python -m bench table --by bytes           all budgets and settings in one table, sorted by stored bytes
python -m bench table --by probes          temporal probes and motion, leaderboard by leaderboard
python -m bench table --by nets            the same sets judged by several networks (run --nets)
python -m bench table --format latex       for a paper
python -m bench table --by bytes --format svg   a picture: accuracy against stored bytes, with the Pareto front
python -m bench table --write              also write results/tables: leaderboard.md and .csv, bytes.md and .svg, probes.md
python -m bench table --without-leaks      also the accuracy without leaked test clips (data check --leaks finds them)
python -m bench table --check              exit 1 if these files do not match the records
"""

from __future__ import annotations

import argparse
import difflib
import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.cli.shared import read_records
from bench.core.errors import BenchError
from bench.core.files import write_atomic
from bench.core.paths import possible
from bench.core.text import printable
from bench.tables.bytes_svg import has_picture, picture
from bench.tables.columns import EXTRAS
from bench.tables.formats import FORMATS, MADE, RESULTS, render_boards
from bench.tables.intervals import INTERVALS, estimator_of
from bench.tables.layouts import BY, LAYOUTS
from bench.tables.leaderboard import leaderboards
from bench.tables.leak_lists import read_leaks
from bench.tables.published import figures_of
from bench.tables.rows import Leaderboard

SUMMARY = "print the leaderboards, computed from the records"

_DIFF_LINES = 20
_PICTURE = "svg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``table``."""
    parser.add_argument(
        "--out", type=possible, default=str(RESULTS), metavar="DIR", help="folder of the records (default: results)"
    )
    parser.add_argument(
        "--format",
        type=_format,
        choices=(*FORMATS, _PICTURE),
        default="terminal",
        help="the output format (default: terminal); svg is a picture of --by bytes",
    )
    parser.add_argument(
        "--by", choices=BY, default="ipc",
        help=f"what each table is for: {'; '.join(f'{name}: {layout.help}' for name, layout in LAYOUTS.items())} (default: ipc)",
    )  # fmt: skip
    parser.add_argument(
        "--columns",
        action="append",
        choices=EXTRAS,
        default=[],
        help="more columns: HLR, IOR, LRS of DD-Ranking; the objective before and after learning; may be repeated",
    )
    parser.add_argument(
        "--interval", choices=INTERVALS, default="student",
        help="how to compute intervals; with few seeds, those of the bootstrap are too narrow (default: student)",
    )  # fmt: skip
    parser.add_argument(
        "--without-leaks", type=possible, nargs="?", const="", metavar="FILE.csv",
        help="also show the accuracy without the test clips in FILE, which `data check --leaks --to` writes "
        "(default: DIR/leaks/DATASET.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--all-versions", action="store_true",
        help="show a row for every version of a method and every source of a plugin (default: only the newest)",
    )  # fmt: skip
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--write",
        action="store_true",
        help="also write to DIR/tables: leaderboard.md and .csv, bytes.md and .svg and, if there are such records, probes.md, "
        "taxonomy.md and nets.md",
    )
    action.add_argument(
        "--check", action="store_true", help="only print how DIR/tables differs from the records; exit 1 if it does"
    )


def run(args: argparse.Namespace) -> int:
    """Prints, writes or checks the tables."""
    with _collector_paused():
        return _run(args)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Turns off garbage collection. Records have no cycles, and searching ten thousand takes as long as reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _run(args: argparse.Namespace) -> int:
    if args.format == _PICTURE and args.by != "bytes":
        raise BenchError(
            f"--format {_PICTURE}: only --by bytes has a picture; add it, or choose another format ({', '.join(FORMATS)})"
        )
    out = Path(args.out)
    records = read_records(out, history=False)
    published = figures_of(out)
    leaks = None if args.without_leaks is None else read_leaks(out, args.without_leaks, records)
    boards = leaderboards(
        records, published=published, estimator=estimator_of(args.interval), leaks=leaks, all_versions=args.all_versions
    )
    if not args.check:
        text = (
            picture(boards)
            if args.format == _PICTURE
            else render_boards(boards, args.format, args.by, args.columns, args.interval, out)
        )
        print(text, end="")
    if not (args.check or args.write):
        return 0
    if args.interval != "student" or args.all_versions:
        boards = leaderboards(records, published=published, leaks=leaks)
    files = _files(out, boards)
    if args.check:
        return _check(out, files)
    _write(out, files)
    return 0


def _format(text: str) -> str:
    return "md" if text == "markdown" else text


def _files(out: Path, boards: Sequence[Leaderboard]) -> dict[Path, str]:
    """The text of each file that ``--write`` writes, by path."""
    folder = out / "tables"
    files: dict[Path, str] = {}
    for layout in LAYOUTS.values():
        if layout.file and layout.worth_a_file(boards):
            files[folder / f"{layout.file}.md"] = render_boards(boards, "md", layout.name, folder=out)
        if layout.name == "ipc":
            files[folder / f"{layout.file}.csv"] = render_boards(boards, "csv", layout.name)
        if layout.name == "bytes" and has_picture(boards):
            files[folder / f"{layout.file}.{_PICTURE}"] = picture(boards)
    return files


def _write(out: Path, files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        try:
            write_atomic(path, text.encode())
        except OSError as error:
            raise BenchError(f"--out {out}: cannot write {path} ({error.strerror})") from error
        print(f"wrote {path}", file=sys.stderr)


def _check(out: Path, files: Mapping[Path, str]) -> int:
    stale = 0
    for path, text in files.items():
        try:
            on_disk = path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            print(f"{path} is missing; write it with `python -m bench table --out {out} --write`")
            stale += 1
            continue
        except OSError as error:
            raise BenchError(f"--out {out}: cannot read {path} ({error.strerror})") from error
        if _figures(on_disk) != _figures(text):
            print(f"{path} does not match the records:")
            print(_difference(on_disk, text))
            stale += 1
    if stale == 0:
        print("the tables match the records")
    return min(stale, 1)


def _figures(text: str) -> list[str]:
    """The lines without the one that names the command: a folder has more than one name."""
    return [line for line in text.split("\n") if not line.startswith(MADE)]


def _difference(on_disk: str, text: str) -> str:
    """The first lines of a unified diff, and how many lines it removes and adds."""
    diff = list(difflib.unified_diff(_figures(on_disk), _figures(text), "file", "records", n=0, lineterm=""))
    removed = sum(line.startswith("-") for line in diff[2:])
    added = sum(line.startswith("+") for line in diff[2:])
    shown = [printable(line) for line in diff[2 : 2 + _DIFF_LINES]]
    return "\n".join([*shown, f"{removed} lines of the file are gone, {added} are new"])
