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
    # Waiting threads must not spin. If anything else runs on the machine, spinning threads are several times slower, and if
    # nothing does, they are no faster. OpenMP reads this when torch is loaded, which happens later.
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
    """Parses the command line. An experiment file may be anywhere in it, although argparse finds it only before options."""
    args, unrecognized = parser.parse_known_args(argv)
    takes_file = "experiment" in args and args.experiment is None
    if takes_file and len(unrecognized) == 1 and not unrecognized[0].startswith("-"):
        args.experiment = unrecognized.pop()
    if unrecognized:
        commands[argv[0]].error(f"unrecognized arguments: {' '.join(unrecognized)}")
    return args


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and the parsers of the commands by name."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Distil video datasets with every method, train new networks on the stored sets, and print leaderboards.",
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
