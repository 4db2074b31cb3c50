"""Check whether a method keeps the contract. Prints what passed, what failed and why, and what was skipped.

This takes at most a minute on a CPU.

python -m bench check my_method.py          every method that the file defines
python -m bench check dm random             installed methods
python -m bench check mine.py --set steps=50
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence

from bench.cli.shared import add_plugin
from bench.core.config import Value, unbounded
from bench.core.errors import BenchError
from bench.core.paths import possible

SUMMARY = "check whether a method keeps the contract"

_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check``."""
    parser.add_argument("targets", type=possible, nargs="+", metavar="NAME|FILE.py", help="a method, or a plugin file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a hyper-parameter of the method, instead of the small value that the check chooses; may be repeated",
    )
    parser.add_argument(
        "--debug", action="store_true", help="end at the first failure, with its whole traceback; for pdb"
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table for each method.

    Returns:
        0 if no check failed, else 1.
    """
    from bench.testing import conformance

    values = _values(args.set)
    methods = [(target, *conformance.find(target, tuple(args.plugin))) for target in args.targets]
    failed = 0
    for target, names, files in methods:
        for name in names:
            failed += _check(name, target, files, values, args.debug)
    return 1 if failed else 0


def _values(texts: Sequence[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        field = target.strip().rpartition(".")[2]  # METHOD.FIELD is accepted too, as for `run --set`
        if not (equals and field):
            raise BenchError(f"--set: '{text}' is not FIELD=VALUE, such as steps=50")
        values[field] = value.strip()
    return values


def _check(name: str, target: str, files: tuple[str, ...], values: Mapping[str, Value], debug: bool) -> int:
    """Runs and prints all checks of one method; returns how many failed."""
    from bench.testing import conformance

    counts = {"passed": 0, "failed": 0, "skipped": 0}
    start = time.monotonic()
    print(name if name == target else f"{name} ({target})")
    with conformance.rehearse(name, files, values) as rehearsal:
        rehearsal.method()  # if Config refuses a value, say so before anything runs
        for result in conformance.results(rehearsal, debug=debug):
            counts[result.status] += 1
            _print(result.check, result.status, result.text)
            sys.stdout.flush()
        if loose := unbounded(rehearsal.kind.Config):
            print(
                f"warning: {', '.join(loose)}: no bounds, so a bad value is only seen in the run; give the fields types such "
                "as Count and Positive (bench.api)"
            )
    print(f"{', '.join(f'{count} {status}' for status, count in counts.items())} in {time.monotonic() - start:.0f} s\n")
    return counts["failed"]


def _print(check: str, status: str, text: str) -> None:
    """Prints one row. A long text continues in its column."""
    shown = status.upper() if status == "failed" else status
    first, *more = textwrap.wrap(text, _WIDTH - 36, break_long_words=False, break_on_hyphens=False) or [""]
    print(f"  {check:25} {shown:8} {first}")
    for line in more:
        print(f"  {'':25} {'':8} {line}")
