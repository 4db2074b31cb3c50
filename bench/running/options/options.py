"""The options of a run: the one list of them, with types, defaults and help. No torch.

The command line, experiment files and `bench.run(...)` in Python all read their options by this list and all make a `RunOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args, get_type_hints

from bench.core.errors import BenchError, Mistakes
from bench.core.paths import possible, possible_path
from bench.core.precision import FULL, PRECISIONS, Precision, parse_precision
from bench.core.storage import PLAIN, STORAGES, Storage, check_storages
from bench.core.text import parse_bytes
from bench.results.records import Resume
from bench.running.devices import device_name
from bench.running.options.kinds import (
    Choice,
    Fields,
    Flag,
    Given,
    Kind,
    Listed,
    Number,
    Overrides,
    Repeated,
    Text,
    at_least_one,
    merged,
    minutes,
    points,
    value,
    whole_numbers,
)

JudgedOn = Literal["test", "validation"]
EngineName = Literal["local", "dask", "slurm"]
Log = Literal["tensorboard"]
Initial = Literal["real", "noise"]
Group = Literal["what to run", "how to run it"]

TUNE_BUDGET = 5
"""The trials of each search, unless told otherwise."""

_RESUME: dict[Resume, str] = {
    "missing": "cells without a finished record",
    "failed": "these and the failed ones",
    "always": "all, again",
    "never": "none: only the table",
}


@dataclass(frozen=True)
class Option:
    """What there is to know of an option.

    Attributes:
        name: of the field, and of the argument in Python.
        kind: how its value is read.
        group, help: where help shows it, and what help says.
    """

    name: str
    kind: Kind
    group: Group
    help: str

    @property
    def key(self) -> str:
        """Its name in an experiment file, and after ``--`` on the command line."""
        return self.name.replace("_", "-")


def _what(kind: Kind, help: str) -> tuple[Kind, Group, str]:
    """An option that says what is run."""
    return kind, "what to run", help


def _how(kind: Kind, help: str) -> tuple[Kind, Group, str]:
    """An option that says how it is run."""
    return kind, "how to run it", help


def _one_of(literal: Any) -> Choice:
    return Choice(get_args(literal))


def _listing(texts: Mapping[Any, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _storages(parts: list[str], mistakes: Mistakes) -> tuple[Storage, ...] | None:
    return mistakes.attempt(check_storages, parts)


def _sizes(parts: list[str], mistakes: Mistakes) -> tuple[int, ...]:
    """The budgets that can be read, in bytes."""
    if not parts:
        mistakes.add(BenchError("--budget: none given (such as 500KB,1MiB)"))
    sizes = [mistakes.attempt(parse_bytes, part) for part in parts]
    return tuple(dict.fromkeys(size for size in sizes if size is not None))


@dataclass(frozen=True)
class RunOptions:
    """What a user asked for. What each field means is its help. Names of parts are not looked up yet.

    ``ipc`` is None for 1, or for as many clips as fit into ``budget`` (bytes). ``profile``, ``protocol`` and ``nets`` are None
    for the default of the data set or profile. ``set_if_run`` is no option: it holds the hyper-parameters of an experiment
    file whose methods were replaced; those of a method that is not run have no use.
    """

    methods: Annotated[
        tuple[str, ...],
        _what(Listed("A,B"), "methods; all but ablations and controls: all (default); these too: everything"),
    ] = ("all",)
    datasets: Annotated[
        tuple[str, ...],
        _what(Listed("D,D"), "datasets: name, name[option=value], folder:PATH (default: shapes-mixed)"),
    ] = ("shapes-mixed",)
    ipc: Annotated[
        tuple[int, ...] | None,
        _what(Listed("N,N", whole_numbers("--ipc", 1), numbers=True), "clips per class (default: 1)"),
    ] = None
    budget: Annotated[
        tuple[int, ...] | None,
        _what(
            Listed("B,B", _sizes, numbers=True),
            "bytes a set may take, such as 1MiB,4MiB, in the place of --ipc: as many clips a class as fit",
        ),
    ] = None
    storage: Annotated[
        tuple[Storage, ...],
        _what(
            Listed("C,C", _storages),
            f"how float tensors of a set are stored: {', '.join(STORAGES)} (default: {PLAIN})",
        ),
    ] = (PLAIN,)
    seeds: Annotated[
        tuple[int, ...],
        _what(Listed("N,N", whole_numbers("--seeds", 0), numbers=True), "distillation seeds (default: 0)"),
    ] = (0,)
    settings: Annotated[
        tuple[str, ...],
        _what(
            Listed("S,S"),
            "temporal settings: presets, taxonomy, or such as n4-r8-k2-linear; see `list settings` (default: dense)",
        ),
    ] = ("dense",)
    profile: Annotated[
        str | None,
        _what(Text("NAME"), "geometry, network, protocol and budgets; see `list profiles` (default: the dataset's)"),
    ] = None
    protocol: Annotated[
        str | None, _what(Text("NAME"), "how sets are judged; see `list protocols` (default: the profile's)")
    ] = None
    nets: Annotated[
        tuple[str, ...] | None,
        _what(
            Listed("A,B"),
            "networks to train on each set, which is distilled once; see `list networks`, or all "
            "(default: the profile's)",
        ),
    ] = None
    set: Annotated[Overrides, _what(Fields("METHOD.FIELD=VALUE"), "a hyper-parameter; may be repeated")] = field(
        default_factory=dict
    )
    start: Annotated[
        Initial | None,
        _what(
            _one_of(Initial),
            "what methods start from that can start from either: real clips, or noise (default: each method's own)",
        ),
    ] = None
    judge_on: Annotated[
        JudgedOn,
        _what(_one_of(JudgedOn), "validation: hold a part of train out, to tune on"),
    ] = "test"
    tune: Annotated[
        bool,
        _what(
            Flag(),
            "first search each method's learning rates on the validation part of train; what that takes is charged",
        ),
    ] = False
    tune_budget: Annotated[
        int | None, _what(Number("N", at_least_one), f"most trials of each search (default: {TUNE_BUDGET})")
    ] = None
    resolve: Annotated[
        float | None,
        _what(
            Number("POINTS", points),
            "add seeds until the interval of each method's gain over random, and over its own start, is at most ±POINTS",
        ),
    ] = None
    plugin: Annotated[
        tuple[str, ...], _what(Repeated("FILE.py"), "a file with methods, datasets ...; may be repeated")
    ] = ()
    controls: Annotated[
        bool,
        _what(
            Flag(negatable=True),
            "beside each learned method also its start, the same set before anything is learned (default: yes)",
        ),
    ] = True
    probes: Annotated[
        bool,
        _what(
            Flag(negatable=True),
            "also judge networks under temporal probes, and train them on each set with its time frozen, which takes "
            "as long again (default: yes)",
        ),
    ] = True
    stand_in: Annotated[bool, _what(Flag(), "procedural clips in the place of a named dataset, and so labelled")] = (
        False
    )

    dry_run: Annotated[bool, _how(Flag(), "print the plan: cells, states, bytes, estimated time; run nothing")] = False
    resume: Annotated[
        Resume,
        _how(
            _one_of(Resume),
            f"which planned cells to run: {_listing(_RESUME)} (default: missing)",
        ),
    ] = "missing"
    device: Annotated[str, _how(Text(None, device_name), "cpu, cuda, cuda:N, or auto (default)")] = "auto"
    precision: Annotated[
        Precision,
        _how(
            Text("NAME", parse_precision),
            "in which number format networks compute; figures of two are never in one table: "
            f"{_listing(PRECISIONS)} (default: {FULL})",
        ),
    ] = FULL
    jobs: Annotated[
        int | None, _how(Number("N", at_least_one), "cells at a time (default: 1; on GPUs --per-gpu for each)")
    ] = None
    per_gpu: Annotated[int, _how(Number("N", at_least_one), "cells that share a GPU (default: 1)")] = 1
    timeout: Annotated[
        float | None,
        _how(Number("M", minutes), "stop each cell after this time; status timeout, kept to go on from"),
    ] = None
    attempts: Annotated[
        int, _how(Number("N", at_least_one), "how often a cell whose worker process dies is tried (default: 3)")
    ] = 3
    engine: Annotated[
        EngineName,
        _how(
            _one_of(EngineName),
            "where cells run: processes here (local, default), dask workers, or jobs that dask starts in Slurm",
        ),
    ] = "local"
    scheduler: Annotated[
        str | None,
        _how(Text("ADDRESS"), "with --engine dask: the running cluster to join, such as tcp://HOST:8786"),
    ] = None
    cluster: Annotated[
        Path | None, _how(Text("FILE.toml", possible_path), "with --engine slurm: partition, GPUs, wall time ...")
    ] = None
    limit_minutes: Annotated[
        float | None,
        _how(Number("M", minutes), "stop after this time; the same command goes on from there"),
    ] = None
    gain_of_full: Annotated[
        bool,
        _how(
            Flag(negatable=True),
            "train the networks of full a second time, with its time frozen, for its temporal gain (default: yes)",
        ),
    ] = True
    debug: Annotated[
        bool,
        _how(Flag(), "run cells in this process, and end at the first error with its whole traceback; for pdb"),
    ] = False
    out: Annotated[Path, _how(Text("DIR", possible_path), "where records and sets go (default: results)")] = Path(
        "results"
    )
    root: Annotated[
        str | None, _how(Text("DIR", possible), "where the dataset lies (default: data/NAME, or BENCH_DATA/NAME)")
    ] = None
    plain: Annotated[bool, _how(Flag(), "plain progress lines, also in a terminal")] = False
    log: Annotated[
        Log | None,
        _how(_one_of(Log), "also write losses and accuracies to DIR/tensorboard (default: no)"),
    ] = None

    set_if_run: Overrides = field(default_factory=dict)


def _options() -> dict[str, Option]:
    hints = get_type_hints(RunOptions, include_extras=True)
    return {name: Option(name, *hint.__metadata__[0]) for name, hint in hints.items() if hasattr(hint, "__metadata__")}


OPTIONS: Final[Mapping[str, Option]] = _options()
"""Every option by its field's name, in the order of help."""


def joined(file: Mapping[str, Given], given: Mapping[str, Given], mistakes: Mistakes) -> RunOptions:
    """The options of an experiment file and those that were given beside it.

    What is given wins. A budget in bytes takes the place of the file's IPC, and the other way round. Plugins and
    hyper-parameters add up, but hyper-parameters of methods that the given ``methods`` leave out have no use.

    Args:
        file, given: by field name; empty without a file.
        mistakes: takes in what is wrong. An option that is wrong has its default.
    """
    values: dict[str, Any] = {**file, **given}
    for name, other in (("ipc", "budget"), ("budget", "ipc")):
        if other in given and name not in given:
            values.pop(name, None)
    values["plugin"] = (*_texts(file, "plugin"), *_texts(given, "plugin"))
    of_file, of_given = _fields(file), _fields(given)
    values["set"] = of_given if "methods" in given else merged(of_file, of_given)
    read = {name: value(f"--{OPTIONS[name].key}", OPTIONS[name].kind, raw, mistakes) for name, raw in values.items()}
    return RunOptions(
        **{name: made for name, made in read.items() if made is not None},
        set_if_run=of_file if "methods" in given else {},
    )


def _texts(given: Mapping[str, Given], name: str) -> tuple[str, ...]:
    return cast("tuple[str, ...]", given.get(name, ()))


def _fields(given: Mapping[str, Given]) -> Overrides:
    return cast(Overrides, given.get("set", {}))
