"""Compare the same cells in two folders of results, or two records of a cell: counts, differences, whether chance explains them, costs.

python -m bench compare mine/results theirs/results
python -m bench compare mine/results theirs/results --format csv
python -m bench compare mine/results/cells/3f2a....json theirs/results/cells/3f2a....json

The exit code is 0 if chance explains all that differs, 1 if it does not or a cell ended otherwise, 2 for bad input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli.shared import read_records
from bench.core.errors import BenchError
from bench.core.paths import possible
from bench.results.records import Record, from_json
from bench.tables.formats import FORMATS
from bench.tables.two_folders import compare, render

SUMMARY = "compare the same cells in two folders of results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``compare``."""
    parser.add_argument("one", type=possible, metavar="A", help="a folder of results, or the file of a record")
    parser.add_argument("other", type=possible, metavar="B", help="another")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="the output format (default: terminal)")


def run(args: argparse.Namespace) -> int:
    """Reads both, compares, prints."""
    paths = [Path(args.one), Path(args.other)]
    one, other = map(_records, paths)
    comparison = compare(one, other)
    if not comparison.pairs:
        raise BenchError(
            f"{paths[0]} and {paths[1]} have no cell in common: only cells with the same id can be compared"
        )
    print(render(comparison, (args.one, args.other), args.format), end="")
    return 0 if comparison.agrees() else 1


def _records(path: Path) -> list[Record]:
    """The records of a folder, or the one in a file.

    Raises:
        BenchError: there is none.
    """
    if (path / "cells").is_dir():
        return read_records(path, history=False)
    if not path.is_file():
        raise BenchError(f"{path}: neither a folder of results, which has 'cells', nor the file of a record")
    try:
        return [from_json(path.read_bytes(), history=False)]
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: cannot be read as a record: {error}") from error
