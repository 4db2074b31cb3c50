"""The suite from Python: `run`, `table` and `load_results`. All names are those of the command line."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, final

from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.paths import possible_path
from bench.core.precision import Precision
from bench.core.text import shown
from bench.results.records import Record, RecordStore, Resume
from bench.running.display import console
from bench.running.options import arguments
from bench.running.options import experiment as experiment_file
from bench.running.options.options import OPTIONS, EngineName, Initial, JudgedOn, joined
from bench.running.session import Session
from bench.tables.columns import EXTRAS
from bench.tables.formats import FORMATS, render
from bench.tables.intervals import INTERVALS
from bench.tables.layouts import BY
from bench.tables.published import figures_of
from bench.tables.rows import setting_label

if TYPE_CHECKING:
    import pandas

    from bench.api import Evaluation

Records = str | Path | Sequence[Record]
"""A folder of results, or records as `run` returns them."""

Names = str | Sequence[str]
"""One name, several separated by commas, or a list."""

Numbers = int | str | Iterable[int | str]
"""A whole number, a text such as ``"0-4"``, or a list of these."""

Sizes = int | str | Iterable[int | str]
"""Bytes as a number or as a text such as ``"1MiB"``, or a list of these."""

Hyper = Mapping[str, Value | Mapping[str, Value]] | str | Sequence[str]
"""Hyper-parameters: ``{"dm": {"lr": 3}}``, ``{"dm.lr": 3}`` or ``"dm.lr=3"``."""

File = str | Path


def run(
    *,
    experiment: File | None = None,
    methods: Names | None = None,
    datasets: Names | None = None,
    ipc: Numbers | None = None,
    budget: Sizes | None = None,
    storage: Names | None = None,
    seeds: Numbers | None = None,
    settings: Names | None = None,
    profile: str | None = None,
    protocol: str | None = None,
    nets: Names | None = None,
    set: Hyper | None = None,
    start: Initial | None = None,
    judge_on: JudgedOn | None = None,
    tune: bool | None = None,
    tune_budget: int | None = None,
    resolve: float | None = None,
    plugin: File | Sequence[File] | None = None,
    controls: bool | None = None,
    probes: bool | None = None,
    stand_in: bool | None = None,
    dry_run: bool | None = None,
    resume: Resume | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    jobs: int | None = None,
    per_gpu: int | None = None,
    timeout: float | None = None,
    attempts: int | None = None,
    engine: EngineName | None = None,
    scheduler: str | None = None,
    cluster: File | None = None,
    limit_minutes: float | None = None,
    gain_of_full: bool | None = None,
    debug: bool | None = None,
    out: File | None = None,
    root: File | None = None,
    plain: bool | None = None,
    log: Literal["tensorboard"] | None = None,
    **unknown: NoReturn,
) -> list[Record]:
    """Runs a grid, as ``python -m bench run`` does, and continues where an earlier call stopped.

    An option that is None takes its value from the experiment file, or else its default.

    Args:
        experiment: an experiment file; the other options override it.
        methods: names, or ``all`` (default: all but ablations and controls), or ``everything``.
        datasets: such as ``shapes-mixed`` (default), ``shapes-mixed[train=20]`` or ``folder:PATH``.
        ipc: clips per class (default: 1).
        budget: bytes that a set may take, instead of ``ipc``: as many clips per class as fit.
        storage: how float tensors of a set are stored: ``float32`` (default), ``float16``, ``uint8``.
        seeds: distillation seeds (default: 0).
        settings: temporal settings: presets, ``taxonomy``, or settings such as ``n4-r8-k2-linear`` (default: ``dense``).
        profile: geometry, networks and protocol (default: the dataset's).
        protocol: how sets are judged (default: the profile's).
        nets: networks to train on each set, or ``all`` (default: the profile's).
        set: hyper-parameters by method, ``{"dm": {"lr": 3}}``, or with both names in one, ``{"dm.lr": 3}``.
        start: ``real`` or ``noise``, for methods that can start from either (default: each method's own).
        judge_on: ``test`` (default), or ``validation`` to hold out a part of train.
        tune: whether to search each method's learning rates first, on the validation part of train.
        tune_budget: the most trials of each search (default: 5).
        resolve: points; seeds are added until the intervals of gains are at most this far to either side.
        plugin: files with methods, datasets and other parts.
        controls: whether each learned method's start is run beside it (default: True).
        probes: whether networks are also judged under temporal probes (default: True).
        stand_in: whether procedural clips replace a named dataset.
        dry_run: whether to print the plan and run nothing.
        resume: which cells to run: ``missing`` (default), ``failed`` (these too), ``always`` (all) or ``never``.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto`` (default).
        precision: the number format that networks compute in (default: ``float32``).
        jobs: cells at a time (default: 1; on GPUs, ``per_gpu`` for each GPU).
        per_gpu: cells that share a GPU (default: 1).
        timeout: minutes after which a cell is stopped.
        attempts: how often to try a cell whose worker process dies (default: 3).
        engine: where cells run: ``local`` (default), ``dask`` or ``slurm``.
        scheduler: with ``dask``, the address of the cluster to join.
        cluster: with ``slurm``, the file that describes it.
        limit_minutes: minutes after which the run stops; the same call continues from there.
        gain_of_full: whether the networks of ``full`` are trained a second time, with its time frozen (default: True).
        debug: whether to run cells in this process, and to raise the first error in one.
        out: folder of records and sets (default: ``results``).
        root: the dataset's folder (default: ``data/NAME``, or ``BENCH_DATA/NAME``).
        plain: whether to show progress as plain lines, even in a terminal.
        log: ``tensorboard`` to also write losses and accuracies to ``OUT/tensorboard``.
        unknown: any other name is an error, which suggests the name you may have meant.

    Returns:
        The records of the grid, including failed and skipped cells (see ``record.status``). Empty with ``dry_run=True``,
        which prints the plan. Pass them to `table` or `load_results`.

    Raises:
        BenchError: bad input, in the words of the command line.
    """
    given_arguments = {name: argument for name, argument in locals().items() if name in OPTIONS}
    for name in unknown:
        raise arguments.unknown(name)
    mistakes = Mistakes()
    file = {} if experiment is None else experiment_file.read(_path("run", "experiment", experiment), mistakes)
    given = arguments.read(given_arguments, mistakes)
    session = Session(joined(file, given, mistakes), mistakes, console.warn)
    console.announce(session)
    return [] if session.options.dry_run else list(console.carry_out(session).records)


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
        Text to print. A notebook shows it as a table at the end of a cell. ``table(...).to("latex")`` gives it in another
        format.

    Raises:
        BenchError: there are no records, or there is no such layout.
    """
    _check("by", by, BY)
    _check("interval", interval, INTERVALS)
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise BenchError(f"table(): columns={shown(columns)} is not a list (of: {', '.join(EXTRAS)})")
    for column in columns:
        _check("columns", column, EXTRAS)
    found = _records("table", records)
    given: dict[str, Any] = {"by": by, "extra": columns, "intervals": interval}
    if isinstance(records, str | Path):
        given |= {"published": figures_of(Path(records)), "folder": Path(records)}
    return Table(found, given)


@final
class Table(str):
    """Leaderboards as text that can be converted to other formats."""

    _source: Sequence[Record]
    _given: Mapping[str, Any]

    def __new__(cls, records: Sequence[Record], given: Mapping[str, Any]) -> Table:
        """The text itself is in the format of the terminal."""
        text = super().__new__(cls, render(records, "terminal", **given))
        text._source, text._given = records, given
        return text

    def to(self, fmt: str) -> str:
        """The same leaderboards in another format of ``table --format``.

        Raises:
            BenchError: there is no such format.
        """
        _check("format", fmt, FORMATS)
        return render(self._source, fmt, **self._given)  # type: ignore[arg-type]  # checked

    def _repr_markdown_(self) -> str:
        return self.to("md")


def load_results(records: Records = "results", unfinished: bool = False) -> pandas.DataFrame:
    """A data frame with one row per evaluation, which is one network trained on one set.

    Args:
        records: a folder of results, or records.
        unfinished: whether to add a row for each cell without an evaluation (failed, skipped ...), with its ``status`` and
            ``reason``.

    Returns:
        Shares are fractions, times are seconds, sizes are bytes; ``config`` holds the hyper-parameters as a dictionary.
        There are no means and intervals. Use `table` for these: it knows which trainings belong together.

    Raises:
        BenchError: pandas is not installed, or there are no records.
    """
    try:
        import pandas
    except ImportError as error:
        raise BenchError(
            "load_results() needs pandas; install it with pip install 'video-distillation-bench[notebook]'"
        ) from error
    rows = [row for record in _records("load_results", records) for row in _rows(record, unfinished)]
    return pandas.DataFrame(rows)


def _check(name: str, value: object, valid: Sequence[str]) -> None:
    if value not in valid:
        raise BenchError(f"table(): {name}={shown(value)} is not valid (valid: {', '.join(valid)})")


def _path(function: str, name: str, value: object) -> Path:
    """The path that an argument is.

    Raises:
        BenchError: it is none.
    """
    if not isinstance(value, str | Path):
        raise BenchError(f"{function}(): {name}={shown(value)} is not a path")
    return possible_path(str(value))


# ----------------------------------------------------------------------------------------------------------------------
# Records


def _records(function: str, records: Records) -> list[Record]:
    """The records. Warns about each that cannot be read.

    Raises:
        BenchError: there are no records, or the argument of ``function`` is neither a folder nor records.
    """
    if not isinstance(records, str | Path):
        given = list(records) if isinstance(records, Iterable) else [records]
        if not all(isinstance(record, Record) for record in given):
            raise BenchError(f"{function}(): records={shown(records)} is neither a folder nor a list of records")
        return given
    store = RecordStore(_path(function, "records", records))

    def left_out(path: Path, reason: str) -> None:
        warnings.warn(f"record left out: {path.name}: {reason}", stacklevel=4)

    of_folder = list(store.all(left_out, history=False))
    if not of_folder:
        raise BenchError(
            f"no records in {store.folder}; run something first, with out='{records}', or name another folder"
        )
    return of_folder


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
