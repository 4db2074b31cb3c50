"""The suite from Python: `run`, `table` and `load_results`, with the command line's names for everything."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

from bench.cli import experiment
from bench.cli import run as command
from bench.core.errors import BenchError
from bench.results.records import Record, RecordStore
from bench.tables.columns import EXTRAS
from bench.tables.formats import FORMATS, render
from bench.tables.intervals import INTERVALS
from bench.tables.layouts import BY
from bench.tables.published import read
from bench.tables.rows import setting_label

if TYPE_CHECKING:
    import pandas

    from bench.api import Evaluation

Records = str | Path | Sequence[Record]
"""A folder of results, or records as `run` returns them."""


def run(**options: Any) -> list[Record]:
    """Runs a grid, as ``python -m bench run`` does, and goes on where an earlier call stopped.

    Args:
        options: those of the command line, with ``_`` for ``-``: ``methods``, ``datasets``, ``ipc``, ``seeds``, ``out`` ...
            (``python -m bench run --help``). Lists stand for commas, True for an option without a value, a mapping
            ``{"dm.lr": 3}`` for ``set``. ``experiment`` is the path of an experiment file, whose options the others replace.

    Returns:
        The records of the grid, failed and skipped cells too (``record.status``). None after ``dry_run=True``, which
        prints the plan. Hand them to `table` or `load_results`.

    Raises:
        BenchError: bad input, in the command line's words.
    """
    parser = _Parser(prog="run()", add_help=False)
    command.add_arguments(parser)
    args = _parsed(parser, options)
    if args.dry_run:
        return command.execute(args)[1]
    with contextlib.redirect_stdout(io.StringIO()):  # the tables, for who asks for them
        return command.execute(args)[1]


def table(
    records: Records = "results",
    by: str = "ipc",
    columns: Sequence[str] = (),
    interval: str = "student",
) -> Table:
    """The leaderboards, as ``python -m bench table`` prints them.

    Args:
        records: a folder of results, or records.
        by, columns, interval: see ``python -m bench table --help``.

    Returns:
        Text to print; at the end of a notebook's cell it is shown as a table. ``table(...).to("latex")`` writes it in
        another format.

    Raises:
        BenchError: no records, or no such layout.
    """
    _check("by", by, BY)
    _check("interval", interval, INTERVALS)
    for column in columns:
        _check("columns", column, EXTRAS)
    published = () if not isinstance(records, str | Path) else read(Path(records) / "published.csv")
    given = {"by": by, "published": published, "extra": columns, "intervals": interval}
    return Table(_records(records), given)


@final
class Table(str):
    """Leaderboards as text that knows its other formats."""

    _source: Sequence[Record]
    _given: Mapping[str, Any]

    def __new__(cls, records: Sequence[Record], given: Mapping[str, Any]) -> Table:
        """The terminal's format is the text itself."""
        made = super().__new__(cls, render(records, "terminal", **given))
        made._source, made._given = records, given
        return made

    def to(self, fmt: str) -> str:
        """The same in another format of ``table --format``.

        Raises:
            BenchError: there is no such format.
        """
        _check("format", fmt, FORMATS)
        return render(self._source, fmt, **self._given)  # type: ignore[arg-type]  # checked

    def _repr_markdown_(self) -> str:
        return self.to("md")


def load_results(records: Records = "results", unfinished: bool = False) -> pandas.DataFrame:
    """A frame with one row for each evaluation: one network trained on one set.

    Args:
        records: a folder of results, or records.
        unfinished: also a row for each cell without an evaluation (failed, skipped ...), with its ``status`` and ``reason``.

    Returns:
        Shares are fractions, times seconds, sizes bytes; ``config`` holds the hyper-parameters as a dictionary.
        Means and intervals are not made here: `table` knows which trainings belong together.

    Raises:
        BenchError: pandas is not installed, or there are no records.
    """
    try:
        import pandas
    except ImportError as error:
        raise BenchError(
            "load_results() needs pandas; install it with pip install 'video-distillation-bench[notebook]'"
        ) from error
    rows = [row for record in _records(records) for row in _rows(record, unfinished)]
    return pandas.DataFrame(rows)


# ----------------------------------------------------------------------------------------------------------------------
# Options


@final
class _Parser(argparse.ArgumentParser):
    """The command line's parser, for callers that are not a command line."""

    def error(self, message: str) -> NoReturn:
        """A mistake is an error that can be caught."""
        raise BenchError(f"{self.prog}: {message}")


def _parsed(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> argparse.Namespace:
    """What the command line would make of keyword arguments."""
    given = dict(options)
    path = given.pop("experiment", None)
    words = _arguments(parser, given)
    if path is None:
        return parser.parse_args(words)
    found = experiment.read(str(path), parser)
    args = parser.parse_args(found.words(words))
    args.mistakes = found.mistakes
    return args


def _arguments(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> list[str]:
    """Keyword arguments as the words of a command line."""
    actions = {action.dest: action for action in parser._actions if action.help is not argparse.SUPPRESS}
    arguments: list[str] = []
    for name, value in options.items():
        action = actions.get(name)
        if action is None:
            close = difflib.get_close_matches(name, actions, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BenchError(f"run(): no option '{name}'{hint} (valid: {', '.join(actions)})")
        if value is None or value is False:
            continue
        option = action.option_strings[-1]
        if action.nargs == 0:
            if value is not True:
                raise BenchError(f"run(): {name}={value!r} is not True or False")
            arguments.append(option)
        elif isinstance(action, argparse._AppendAction):
            arguments += [f"{option}={word}" for word in _repeated(value)]
        else:
            arguments.append(f"{option}={_joined(value)}")
    return arguments


def _repeated(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}={entry}" for key, entry in value.items()]
    return [str(value)] if isinstance(value, str | Path) else [str(entry) for entry in value]


def _joined(value: Any) -> str:
    return (
        ",".join(map(str, value)) if isinstance(value, Sequence | range) and not isinstance(value, str) else str(value)
    )


def _check(name: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        raise BenchError(f"table(): {name}='{value}' is not valid (valid: {', '.join(valid)})")


# ----------------------------------------------------------------------------------------------------------------------
# Records


def _records(records: Records) -> list[Record]:
    """The records; unreadable ones are warned of.

    Raises:
        BenchError: there is none.
    """
    if not isinstance(records, str | Path):
        return list(records)
    store = RecordStore(Path(records))
    found = list(
        store.all(
            lambda path, reason: warnings.warn(f"record left out: {path.name}: {reason}", stacklevel=4), history=False
        )
    )
    if not found:
        raise BenchError(
            f"no records in {store.folder}; run something first, with out='{records}', or name another folder"
        )
    return found


def _rows(record: Record, unfinished: bool) -> Iterator[dict[str, Any]]:
    cell = record.cell
    frames = cell.geometry["frames"]
    common = {
        "cell": record.id,
        "method": cell.method,
        "config": dict(cell.config),
        "dataset": cell.dataset,
        "ipc": cell.ipc,
        "budget": cell.budget,
        "storage": cell.storage,
        "setting": setting_label(cell.setting, frames),
        "seed": cell.seed,
        "profile": cell.profile,
        "protocol": cell.protocol,
        "architecture": cell.network,
        "judged_on": cell.judged_on,
        "status": record.status,
        "reason": record.reason,
        "storage_bytes": None if record.set is None else record.set.storage_bytes,
        "storage_bytes_fp32": None if record.set is None else record.set.storage_bytes_fp32,
        **{f"{phase}_seconds": cost.wall_seconds for phase, cost in record.costs.items()},
    }
    if unfinished and not record.evaluations:
        yield common
    for evaluation in record.evaluations:
        yield common | _evaluation(evaluation)


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    tested = max(1, evaluation.tested())
    row = {
        "network": evaluation.network,
        "accuracy": evaluation.accuracy(),
        "top5": None if evaluation.top5 is None else evaluation.top5 / tested,
        "tested": evaluation.tested(),
        "train_accuracy": evaluation.train_accuracy,
        "fitted": evaluation.fitted,
        "loss": evaluation.loss,
        "updates": evaluation.updates,
        **{f"accuracy_{name.replace('-', '_')}": count / tested for name, count in evaluation.probes.items()},
    }
    if evaluation.frozen_both is not None:
        row["temporal_gain"] = (evaluation.correct() - evaluation.frozen_both) / tested
    if (inflation := evaluation.selection_inflation()) is not None:
        row["selection_inflation"] = inflation
    return row
