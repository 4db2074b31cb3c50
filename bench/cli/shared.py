"""What several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import plugins
from bench.core.errors import BenchError
from bench.core.paths import may_be_folder, possible
from bench.core.text import printable
from bench.plugins import Registries
from bench.results.records import Record, RecordStore
from bench.running.options.kinds import at_least_one


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """Adds ``--plugin``."""
    parser.add_argument(
        "--plugin",
        type=possible,
        action="append",
        default=[],
        metavar="FILE.py",
        help="a file of yours with methods, datasets or other parts; may be repeated",
    )


def positive(text: str) -> int:
    """A whole number of at least 1, for the parser."""
    try:
        return at_least_one(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def tell_left_out(path: Path, reason: str) -> None:
    """Names a record that cannot be read, on stderr."""
    print(f"warning: record left out: {printable(f'{path.name}: {reason}')}", file=sys.stderr)


def load_parts(plugin: Sequence[str]) -> Registries:
    """All parts, for one command. A plugin is imported in a process of its own first: none can end or stop the command by it.

    Args:
        plugin: paths given with ``--plugin``.

    Raises:
        BenchError: see `bench.plugins.load`.
    """
    return plugins.load(plugin, probes=plugins.Probes(plugin))


def read_records(out: Path, history: bool) -> list[Record]:
    """The readable records of a folder of results. Names the others on stderr.

    Args:
        out: the folder of results.
        history: whether to read the histories, which take most of the memory.

    Raises:
        BenchError: there are no readable records.
    """
    store = RecordStore(out)
    bad: list[tuple[Path, str]] = []
    records = list(store.all(lambda path, reason: bad.append((path, reason)), history=history))
    for path, reason in bad:
        tell_left_out(path, reason)
    if not records and not may_be_folder(out):
        raise BenchError(f"--out {out}: not a folder")
    if not records:
        what = "no readable records" if bad else "no records"
        raise BenchError(
            f"{what} in {store.folder}; run `python -m bench run --out {out}` first, or name another --out"
        )
    return records
