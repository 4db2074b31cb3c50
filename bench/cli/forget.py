"""Remove records, stored sets and checkpoints that are out of date, or were only a trial.

python -m bench forget                      # shows what earlier versions left behind; removes nothing
python -m bench forget --yes                # removes it
python -m bench forget --set dm.lr=3        # also what was made with this hyper-parameter
python -m bench forget --trials             # also what finished searches (run --tune) tried

To find what a plugin left behind, load the plugin with --plugin.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.cli.shared import add_plugin, load_parts, tell_left_out
from bench.core import config
from bench.core.errors import BenchError
from bench.core.paths import possible
from bench.core.text import printable, split_list
from bench.plugins import Registries
from bench.results import forget
from bench.results.forget import Reason, Removal
from bench.results.records import Record, RecordStore
from bench.running.options.kinds import overrides

SUMMARY = "show, and with --yes remove, what earlier versions and trials left behind"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``forget``."""
    parser.add_argument("--methods", metavar="A,B", help="only the results of these methods")
    parser.add_argument(
        "--set", action="append", default=[], metavar="METHOD.FIELD=VALUE",
        help="also what was made with this hyper-parameter; if several are given for one method, all must match",
    )  # fmt: skip
    parser.add_argument("--trials", action="store_true", help="also what finished searches (run --tune) tried")
    parser.add_argument("--yes", action="store_true", help="remove it; without --yes it is only shown")
    add_plugin(parser)
    parser.add_argument(
        "--out", type=possible, default="results", metavar="DIR", help="the folder of results (default: results)"
    )


def run(args: argparse.Namespace) -> int:
    """Shows what would be removed, and removes it with ``--yes``."""
    out = Path(args.out)
    if not (out / "cells").is_dir():
        raise BenchError(f"--out {out}: not a folder of results: it has no 'cells'")
    registries = load_parts(args.plugin)
    if args.yes:  # records of earlier schemas take their names of today first
        RecordStore(out).repair(lambda line: print(f"warning: {printable(line)}", file=sys.stderr))
    for plugin in registries.methods.unavailable():
        print(f"warning: plugin '{printable(plugin.name)}' is unavailable: {printable(plugin.reason)}", file=sys.stderr)
    records = list(RecordStore(out).all(tell_left_out, history=False))
    _check_names(args, registries, records)
    removal = forget.look(out, _reason(args, registries, records), registries, split_list(args.methods or ""))
    _show(removal)
    _name_unknown(records, registries)
    if not removal.records and not removal.sets:
        return 0
    if not args.yes:
        print("nothing was removed; add --yes to remove this")
        return 0
    forget.carry_out(removal, out)
    print("removed")
    return 0


def _check_names(args: argparse.Namespace, registries: Registries, records: Sequence[Record]) -> None:
    """Refuses what can match no record, and is so a slip of the pen.

    Raises:
        BenchError: a method that is neither loaded nor in a record, a field that its records do not have either, or a
            ``--set`` of a method that ``--methods`` leaves out.
    """
    fields = {record.cell.method: set(record.cell.config) for record in records}
    for name, method in registries.methods:
        fields.setdefault(name, set()).update(config.fields(method.Config))
    methods = split_list(args.methods or "")
    if args.methods is not None and not methods:
        raise BenchError(f"--methods: none given (valid: {', '.join(sorted(fields))})")
    for option, named in (("--methods", methods), ("--set", overrides(args.set))):
        if unknown := [name for name in named if name not in fields]:
            raise BenchError(f"{option}: no record of '{unknown[0]}' (valid: {', '.join(sorted(fields))})")
    for name, values in overrides(args.set).items():
        if methods and name not in methods:
            raise BenchError(f"--set: {name} is not among --methods ({', '.join(methods)})")
        if unknown := [field for field in values if field not in fields[name]]:
            raise BenchError(f"--set {name}: no field '{unknown[0]}'; fields: {', '.join(sorted(fields[name]))}")


def _reason(args: argparse.Namespace, registries: Registries, records: Sequence[Record]) -> Reason:
    """A function that says why a record is removed, according to the options.

    Raises:
        BenchError: a ``--set`` cannot be read.
    """
    methods = split_list(args.methods or "")
    settings = overrides(args.set)
    tried = forget.trials(records) if args.trials else frozenset()

    def reason(record: Record) -> str | None:
        if methods and record.cell.method not in methods:
            return None
        if record.id in tried:
            return "a trial of a finished search"
        return forget.superseded(record.cell, registries) or forget.of_settings(record, settings)

    return reason


def _show(removal: Removal) -> None:
    for unwanted in removal.records:
        print(printable(f"{unwanted.record.id[:12]}  {unwanted.record.title()}: {unwanted.reason}"))
    counts = Counter({"record": len(removal.records), "stored set": len(removal.sets)})
    counts["folder of checkpoints"] = len(removal.checkpoints)
    size = sum(map(forget.size, removal.folders()))
    parts = [_counted(count, name) for name, count in counts.items()]
    print(f"{parts[0]}, {parts[1]} and {parts[2]}, {size / 2**20:.2f} MiB of sets and checkpoints")


def _name_unknown(records: Sequence[Record], registries: Registries) -> None:
    """Says which methods are not loaded, as nothing is known of their sources."""
    known = registries.methods.names()
    methods = sorted({record.cell.method for record in records} - set(known))
    if methods:
        print(
            printable(f"not looked at, as no such method is loaded: {', '.join(methods)}; name its file with --plugin")
        )


def _counted(count: int, name: str) -> str:
    if count == 1:
        return f"1 {name}"
    return f"{count} {name.replace('folder', 'folders')}" if name.startswith("folder") else f"{count} {name}s"
