"""Run a grid: every method on every dataset, budget and seed; then print its leaderboards.

The same command again goes on where it stopped and runs nothing twice.

  python -m bench run                                             every method on shapes-mixed, a few minutes on a CPU
  python -m bench run --datasets folder:clips --ipc 1,5 --seeds 0,1,2
  python -m bench run experiments/taxonomy.toml --seeds 0         the options of a file; those given here win
  python -m bench run --budget 1MiB,4MiB --storage float32,uint8  equal bytes: as many clips as fit
  python -m bench run --methods random,dm --set dm.lr=10 --dry-run
  python -m bench run --methods random,dm --resolve 2             add seeds until the gain is known to ±2 points
  python -m bench run --methods random,dm --tune                  search learning rates on a part of train first
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import assert_never

from bench.cli import output
from bench.core.errors import Mistakes
from bench.core.paths import possible
from bench.results.records import Record
from bench.running.display import console
from bench.running.options import experiment
from bench.running.options.kinds import Choice, Fields, Flag, Given, Kind, Listed, Number, Repeated, Text, overrides
from bench.running.options.options import OPTIONS, RunOptions, joined
from bench.running.session import Session
from bench.tables import formats
from bench.tables.published import figures_of

SUMMARY = "run a grid of methods, datasets and budgets, then print its leaderboards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``run``. One that is not given is None."""
    parser.add_argument(
        "experiment",
        type=possible,
        nargs="?",
        metavar="FILE.toml",
        help="a file with any of these options, yours or one of the suite's (experiments/smoke.toml); those given here win",
    )
    titles = dict.fromkeys(option.group for option in OPTIONS.values())
    groups = {title: parser.add_argument_group(title) for title in titles}
    for option in OPTIONS.values():
        reading = _reading(option.kind)
        groups[option.group].add_argument(f"--{option.key}", default=None, help=option.help, **reading)


def run(args: argparse.Namespace) -> int:
    """Plans, runs, prints the tables."""
    output.carry_on()  # the records are worth more than the table
    options, mistakes = read_options(args)
    session = Session(options, mistakes, console.warn)
    console.announce(session)
    if options.dry_run:
        return 0
    published = figures_of(options.out)  # now: a line that is not valid is told before anything runs

    def print_tables(records: Sequence[Record]) -> None:
        print(formats.render(records, published=published), end="")

    outcome = console.carry_out(session, print_tables)
    failed = any(record.status not in ("ok", "skipped") for record in outcome.records)
    return 1 if failed or not outcome.done else 0


def read_options(args: argparse.Namespace) -> tuple[RunOptions, Mistakes]:
    """The options of a command line and of the experiment file that it names, and what is wrong with them.

    Raises:
        BenchError: the file cannot be read.
    """
    mistakes = Mistakes()
    file = {} if args.experiment is None else experiment.read(Path(args.experiment), mistakes)
    given = {
        name: _given(option.kind, argument, mistakes)
        for name, option in OPTIONS.items()
        if (argument := getattr(args, name)) is not None
    }
    return joined(file, given, mistakes), mistakes


def _reading(kind: Kind) -> dict[str, Any]:
    """How the command line's parser reads an option."""
    match kind:
        case Flag():
            return {"action": argparse.BooleanOptionalAction if kind.negatable else "store_true"}
        case Choice():
            return {"choices": kind.names}
        case Number():
            return {"metavar": kind.metavar, "type": _parsed_by(kind.parse)}
        case Repeated() | Fields():
            return {"metavar": kind.metavar, "action": "append"}
        case Text() | Listed():
            return {"metavar": kind.metavar}
    assert_never(kind)


def _parsed_by(parse: Callable[[str], float]) -> Callable[[str], float]:
    """The same, with a mistake as the parser tells it."""

    def parsed(text: str) -> float:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def _given(kind: Kind, argument: Any, mistakes: Mistakes) -> Given:
    """What an argument gives, as the parser left it."""
    match kind:
        case Repeated():
            return tuple(argument)
        case Fields():
            return mistakes.attempt(overrides, argument) or {}
    given: Given = argument
    return given
