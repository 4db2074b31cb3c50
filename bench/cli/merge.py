"""Merge results from several machines: records, stored sets and the names of test clips.

python -m bench merge a/results b/results --out results

Several folders may have the same cell if what they computed agrees; what it cost, and on which machine, may differ. If they do
not agree, the command prints what differs side by side, and writes nothing. `--prefer` settles it: `first` takes the record of
the destination, else of the folder named first; `last` that of the folder named last; `newer` the one that ended last.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import textwrap
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.paths import may_be_folder, possible
from bench.core.text import printable
from bench.results import merge
from bench.results.merge import PREFERENCES, Conflict, StoredRecord

SUMMARY = "merge results from several machines, unless they contradict each other"

_MOST_SHOWN = 20
_MOST_LINES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``merge``."""
    parser.add_argument("sources", type=possible, nargs="+", metavar="DIR", help="folders of results")
    parser.add_argument(
        "--out", type=possible, default="results", metavar="DIR", help="folder to merge them into (default: results)"
    )
    parser.add_argument(
        "--prefer",
        choices=PREFERENCES,
        help="which of two records of a cell to keep where their results differ (default: neither)",
    )


def run(args: argparse.Namespace) -> int:
    """Compares everything, then copies."""
    out = Path(args.out)
    sources = [Path(source) for source in args.sources]
    for source in sources:
        if not (source / "cells").is_dir():
            raise BenchError(f"{source}: not a folder of results: it has no 'cells'")
    if not may_be_folder(out):
        raise BenchError(f"--out {out}: not a folder")
    sources = [source for source in sources if source.resolve() != out.resolve()]
    for source in sources:
        if out.resolve().is_relative_to(source.resolve()):
            raise BenchError(f"--out {out}: lies inside {source}, which is to be merged; name another folder")
    plan, conflicts, bad = merge.look(sources, out, args.prefer)
    for path, reason in bad:
        print(f"left out {printable(str(path))}: {printable(reason)}", file=sys.stderr)
    for conflict in conflicts[:_MOST_SHOWN]:
        print(_side_by_side(conflict), file=sys.stderr)
    if conflicts:
        cells = len({conflict.one.record.id for conflict in conflicts})
        raise BenchError(
            f"{cells} cell{'s' * (cells > 1)} differ between the folders (above); nothing was written; "
            f"choose with --prefer ({', '.join(PREFERENCES)}), leave a folder out, or see `bench compare` for what it means"
        )
    merge.carry_out(plan, out)
    print(
        f"{out}: {len(plan.records) + plan.same} records, {len(plan.records)} of them new or better; "
        f"{len(plan.artefacts)} sets copied"
    )
    return 1 if bad else 0


def _side_by_side(conflict: Conflict) -> str:
    """The cell, and what differs: one line a part, one column a folder."""
    from tabulate import tabulate

    both = (conflict.one, conflict.other)
    shown, more = conflict.differences[:_MOST_LINES], len(conflict.differences) - _MOST_LINES
    lines = [[each.name, _text(each.name, each.one), _text(each.name, each.other)] for each in shown]
    lines += [[f"and {more} more", "", ""]] if more > 0 else []
    lines += [["made on", *map(_processors, both)], ["ended", *map(_ended, both)]]
    table = tabulate(
        [list(map(printable, line)) for line in lines],
        ["", *(printable(str(stored.folder)) for stored in both)],
        tablefmt="plain",
        disable_numparse=True,
    )
    cell = conflict.one.record
    return f"{cell.id[:12]} ({printable(cell.title())}) differs:\n" + textwrap.indent(table, "  ")


def _text(name: str, value: Any) -> str:
    """A value on one line: of many numbers how many they are, and a digest to tell them apart."""
    if value is None:
        return "none"
    if not isinstance(value, list | tuple):
        return str(value)
    digest = hashlib.sha256(repr([list(row) if isinstance(row, tuple) else row for row in value]).encode()).hexdigest()[
        :8
    ]
    if name.endswith(".confusion"):
        return f"{sum(row[label] for label, row in enumerate(value))} of {sum(map(sum, value))} correct ({digest})"
    return f"{len(value)} values ({digest})"


def _processors(stored: StoredRecord) -> str:
    return ", then ".join(stored.record.provenance.get("processors", ())) or "not recorded"


def _ended(stored: StoredRecord) -> str:
    return str(stored.record.provenance.get("ended", "not recorded"))
