"""What several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import plugins
from bench.core.errors import BenchError
from bench.core.text import printable
from bench.plugins import Registries
from bench.results.records import Record, RecordStore


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """Adds ``--plugin``."""
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE.py", help="a plugin file; may be repeated"
    )


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
    bad: list[str] = []
    store = RecordStore(out)
    records = list(store.all(lambda path, reason: bad.append(f"{path.name}: {reason}"), history=history))
    for line in bad:
        print(f"warning: record left out: {printable(line)}", file=sys.stderr)
    if not records:
        what = "no readable records" if bad else "no records"
        raise BenchError(
            f"{what} in {store.folder}; run `python -m bench run --out {out}` first, or name another --out"
        )
    return records
