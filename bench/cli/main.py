"""The command line: one module per sub-command, each with ``SUMMARY``, ``add_arguments`` and ``run``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, final

from typing_extensions import override

from bench.cli.stopping import Stop, interrupted_by_signals
from bench.core import lazy
from bench.core.errors import BenchError, SeveralMistakes
from bench.core.signals import disregard
from bench.core.version import __version__

COMMANDS = (
    "run", "list", "table", "report", "show", "export", "evaluate", "data", "status", "merge", "compare", "forget", "new-method", "check"
)  # fmt: skip

DEFERRED = ("torch",)

CONSOLE = "vdbench"
"""The name of the console command, which pyproject.toml gives."""


def command() -> NoReturn:
    """Runs the command line of this process, and ends it."""
    from bench.cli.output import with_guarded_output

    # Worker processes, too, do not look for modules in the current folder. Python reads it from version 3.11 on.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    code = with_guarded_output(main)
    if code > 128:  # interrupted: a further Ctrl-C has nothing left to stop but the tidying up
        disregard(signal.SIGINT)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
        The exit code: 0 done, 1 some cell failed, 2 bad input, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).
    """
    # Waiting threads must not spin. If anything else runs on the machine, spinning threads are several times slower, and if
    # nothing does, they are no faster. OpenMP reads this when torch is loaded, which happens later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for package in DEFERRED:
        lazy.defer(package)
    parser, commands = _parser()
    _complete(parser)
    with interrupted_by_signals() as stop:
        return _run(parser, commands, argv, stop)


def _run(
    parser: argparse.ArgumentParser,
    commands: dict[str, argparse.ArgumentParser],
    argv: Sequence[str] | None,
    stop: Stop,
) -> int:
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        if not words:
            parser.print_help(sys.stderr)
            return 2
        args = _parsed(parser, commands, words)
        code: int = args.run(args)
        return code
    except BenchError as error:
        from bench.core.text import printable

        if isinstance(error, SeveralMistakes):
            print(f"error: {error.count:,} mistakes:", file=sys.stderr)
            for sentence in error.sentences:
                print(f"  - {printable(sentence)}", file=sys.stderr)
        else:
            print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("interrupted", file=sys.stderr)
        return stop.exit_code()


def _complete(parser: argparse.ArgumentParser) -> None:
    """Where a shell asks how a command line may go on, answers and ends the process."""
    if "_ARGCOMPLETE" in os.environ and importlib.util.find_spec("argcomplete") is not None:
        import argcomplete

        argcomplete.autocomplete(parser)


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


@final
class _Parser(argparse.ArgumentParser):
    """Words its mistakes as all others are: what is very long is cut."""

    @override
    def error(self, message: str) -> NoReturn:
        super().error(str(BenchError(message)))


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and the parsers of the commands by name."""
    parser = _Parser(
        prog=CONSOLE if Path(sys.argv[0]).stem == CONSOLE else "python -m bench",
        description="Distil video datasets with every method, train new networks on the stored sets, and print leaderboards.",
    )
    parser.add_argument("--version", action="version", version=f"video-distillation-bench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    by_name: dict[str, argparse.ArgumentParser] = {}
    for name in COMMANDS:
        module = importlib.import_module(f"bench.cli.{name.replace('-', '_')}")
        sub = commands.add_parser(
            name, help=module.SUMMARY, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
        by_name[name] = sub
    return parser, by_name
