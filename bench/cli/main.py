"""The command line: one module per sub-command, each with ``SUMMARY``, ``add_arguments`` and ``run``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from bench.core import lazy
from bench.core.errors import BenchError, SeveralMistakes
from bench.core.version import __version__

COMMANDS = (
    "run", "list", "table", "report", "show", "export", "evaluate", "data", "status", "merge", "forget", "new-method", "check"
)  # fmt: skip

DEFERRED = ("torch",)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
        The exit code: 0 done, 1 some cell failed, 2 bad input, 130 interrupted.
    """
    # Threads that wait must not spin: beside any other load a spinning team runs several times slower, alone it gains nothing.
    # OpenMP reads this when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for package in DEFERRED:
        lazy.defer(package)
    parser, commands = _parser()
    try:
        args = _parsed(parser, commands, list(sys.argv[1:] if argv is None else argv))
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except BenchError as error:
        from bench.core.text import printable

        if isinstance(error, SeveralMistakes):
            print(f"error: {len(error.sentences)} mistakes:", file=sys.stderr)
            for sentence in error.sentences:
                print(f"  - {printable(sentence)}", file=sys.stderr)
        else:
            print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe (head, less) went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parsed(
    parser: argparse.ArgumentParser, commands: dict[str, argparse.ArgumentParser], argv: list[str]
) -> argparse.Namespace:
    """The command line. An experiment file may stand anywhere in it: argparse sees it before options only."""
    args, rest = parser.parse_known_args(argv)
    takes_file = "experiment" in args and args.experiment is None
    if takes_file and len(rest) == 1 and not rest[0].startswith("-"):
        args.experiment = rest.pop()
    if rest:
        commands[argv[0]].error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of the commands by name."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Distil video datasets with every method, train new networks on what was stored, and print leaderboards.",
    )
    parser.add_argument("--version", action="version", version=f"video-distillation-bench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    by_name = {}
    for name in COMMANDS:
        module = importlib.import_module(f"bench.cli.{name.replace('-', '_')}")
        sub = commands.add_parser(
            name, help=module.SUMMARY, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
        by_name[name] = sub
    return parser, by_name
