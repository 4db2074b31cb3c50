"""Merge results from several machines: records, stored sets and the names of test clips.

python -m bench merge a/results b/results --out results

Several folders may have the same cell if their records agree. If they do not, the command prints the cells and fields that
differ, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.paths import may_be_folder, possible
from bench.core.text import printable
from bench.results import merge

SUMMARY = "merge results from several machines, unless they contradict each other"

_MOST_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``merge``."""
    parser.add_argument("sources", type=possible, nargs="+", metavar="DIR", help="folders of results")
    parser.add_argument(
        "--out", type=possible, default="results", metavar="DIR", help="folder to merge them into (default: results)"
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
    plan, conflicts, bad = merge.look(sources, out)
    for path, reason in bad:
        print(f"left out {printable(str(path))}: {printable(reason)}", file=sys.stderr)
    for conflict in conflicts[:_MOST_SHOWN]:
        print(printable(conflict.text()), file=sys.stderr)
    if conflicts:
        cells = len({conflict.one.record.id for conflict in conflicts})
        raise BenchError(
            f"{cells} cell{'s' * (cells > 1)} differ between the folders (above); nothing was written; "
            "delete the wrong record from its cells folder, or leave that folder out"
        )
    merge.carry_out(plan, out)
    print(
        f"{out}: {len(plan.records) + plan.same} records, {len(plan.records)} of them new or better; "
        f"{len(plan.artefacts)} sets copied"
    )
    return 1 if bad else 0
