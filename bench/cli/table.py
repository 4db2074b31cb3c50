"""Print every table, made anew from the records.

python -m bench table                      the leaderboards of results/
python -m bench table --by probes          temporal probes and motion, leaderboard by leaderboard
python -m bench table --write              also write them to results/tables/leaderboard.md and .csv
python -m bench table --check              exit 1 if these files are not what the records say
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from bench.errors import BenchError
from bench.store.records import Record, RecordStore, write_atomic
from bench.tables import formats, temporal_formats
from bench.tables.formats import FORMATS, Format, printable

SUMMARY = "print the leaderboards, made anew from the records"

_TABLES: dict[str, tuple[str, Callable[[list[Record], Format], str]]] = {
    "ipc": ("leaderboard", formats.render),
    "probes": ("probes", temporal_formats.render),
}
"""What ``--by`` names: the name of the files, and the text."""

_DIFF_LINES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``table``."""
    parser.add_argument("--out", default="results", metavar="DIR", help="folder of the records (default: results)")
    parser.add_argument(
        "--by",
        choices=tuple(_TABLES),
        default="ipc",
        help="ipc: the leaderboards (default); probes: accuracy on altered test clips, temporal gain, motion",
    )
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="how to print them (default: terminal)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--write", action="store_true", help="also write DIR/tables/leaderboard.md and .csv (or probes.md and .csv)"
    )
    action.add_argument(
        "--check", action="store_true", help="print only how DIR/tables differs from the records; exit 1 if it does"
    )


def run(args: argparse.Namespace) -> int:
    """Prints, writes or checks the tables."""
    out = Path(args.out)
    records = _records(out)
    if args.check:
        return _check(out, records, args.by)
    print(_TABLES[args.by][1](records, args.format), end="")
    if args.write:
        _write(out, records, args.by)
    return 0


def _records(out: Path) -> list[Record]:
    """The readable records; the others are named on stderr.

    Raises:
        BenchError: there is none.
    """
    bad: list[str] = []
    store = RecordStore(out)
    records = list(store.all(lambda path, reason: bad.append(f"{path.name}: {reason}")))
    for line in bad:
        print(f"warning: record left out: {printable(line)}", file=sys.stderr)
    if not records:
        what = "no readable records" if bad else "no records"
        raise BenchError(
            f"{what} in {store.folder}; run `python -m bench run --out {out}` first, or name another --out"
        )
    return records


def _files(out: Path, records: list[Record], by: str) -> dict[Path, str]:
    folder = out / "tables"
    name, render = _TABLES[by]
    return {folder / f"{name}.md": render(records, "markdown"), folder / f"{name}.csv": render(records, "csv")}


def _write(out: Path, records: list[Record], by: str) -> None:
    for path, text in _files(out, records, by).items():
        try:
            write_atomic(path, text.encode())
        except OSError as error:
            raise BenchError(f"--out {out}: cannot write {path} ({error.strerror})") from error
        print(f"wrote {path}", file=sys.stderr)


def _check(out: Path, records: list[Record], by: str) -> int:
    stale = 0
    option = "" if by == "ipc" else f" --by {by}"
    for path, wanted in _files(out, records, by).items():
        try:
            found = path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            print(f"{path} is missing; write it with `python -m bench table --out {out}{option} --write`")
            stale += 1
            continue
        except OSError as error:
            raise BenchError(f"--out {out}: cannot read {path} ({error.strerror})") from error
        if found != wanted:
            print(f"{path} is not what the records say:")
            print(_difference(found, wanted))
            stale += 1
    if stale == 0:
        print("the tables are what the records say")
    return min(stale, 1)


def _difference(found: str, wanted: str) -> str:
    """The first lines of a unified diff, and how many lines it takes away and adds."""
    diff = list(difflib.unified_diff(found.splitlines(), wanted.splitlines(), "file", "records", n=0, lineterm=""))
    removed = sum(line.startswith("-") for line in diff[2:])
    added = sum(line.startswith("+") for line in diff[2:])
    shown = [printable(line) for line in diff[2 : 2 + _DIFF_LINES]]
    return "\n".join([*shown, f"{removed} lines of the file are gone, {added} are new"])
