"""Run a grid: every method on every dataset, budget and seed; then print its leaderboards.

The same command again goes on where it stopped and runs nothing twice.

  python -m bench run                                             every method on shapes-mixed, a few minutes on a CPU
  python -m bench run --datasets folder:clips --ipc 1,5 --seeds 0,1,2
  python -m bench run experiments/taxonomy.toml --seeds 0         the options of a file; those given here win
  python -m bench run --budget 1MiB,4MiB --storage float32,uint8  equal bytes: as many clips as fit
  python -m bench run --methods random,dm --set dm.lr=10 --dry-run
  python -m bench run --methods random,dm --tune                  search learning rates on a part of train first
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bench import plugins
from bench.api import Dataset
from bench.cli import agenda, engines
from bench.cli.agenda import Agenda
from bench.core import paths
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import FULL, PRECISIONS, parse_precision, require
from bench.core.storage import PLAIN, STORAGES, check_storages
from bench.core.text import parse_bytes, split_list
from bench.data.spec import parse_dataset
from bench.results import claims
from bench.results import under_way as grids
from bench.results.records import Record, RecordStore, Resume, to_run
from bench.run import plan as grid
from bench.run import tuning
from bench.run.estimate import Experience
from bench.tables import formats
from bench.tables.published import Reported, read
from bench.tables.sheet import printable

if TYPE_CHECKING:
    from bench.cli.progress import Display
    from bench.cli.tensorboard import TensorBoardLog
    from bench.core.registry import Registry
    from bench.plugins import Registries
    from bench.run.engines.events import Event
    from bench.run.plan import PlannedCell

SUMMARY = "run a grid of methods, datasets and budgets, then print its leaderboards"

_RESUME = {
    "missing": "cells without a finished record",
    "failed": "these and the failed ones",
    "always": "all, again",
    "never": "none: only the table",
}

_TUNE_BUDGET = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``run``."""
    parser.add_argument(
        "experiment", nargs="?", metavar="FILE.toml", help="a file with any of these options; those given here win"
    )
    parser.set_defaults(mistakes=())  # those of the file
    axes = parser.add_argument_group("what to run")
    axes.add_argument(
        "--methods",
        default="all",
        metavar="A,B",
        help="methods; all but ablations and controls: all (default); these too: everything",
    )
    axes.add_argument(
        "--datasets",
        default="shapes-mixed",
        metavar="D,D",
        help="datasets: name, name[option=value], folder:PATH (default: shapes-mixed)",
    )
    axes.add_argument("--ipc", metavar="N,N", help="clips per class (default: 1)")
    axes.add_argument(
        "--budget",
        metavar="B,B",
        help="bytes a set may take, such as 1MiB,4MiB, in the place of --ipc: as many clips a class as fit",
    )
    axes.add_argument(
        "--storage",
        default=PLAIN,
        metavar="C,C",
        help=f"how float tensors of a set are stored: {', '.join(STORAGES)} (default: {PLAIN})",
    )
    axes.add_argument("--seeds", default="0", metavar="N,N", help="distillation seeds (default: 0)")
    axes.add_argument(
        "--settings",
        default="dense",
        metavar="S,S",
        help="temporal settings: presets, taxonomy, or such as n4-r8-k2-linear; see `list settings` (default: dense)",
    )
    axes.add_argument(
        "--profile",
        metavar="NAME",
        help="geometry, network, protocol and budgets; see `list profiles` (default: the dataset's)",
    )
    axes.add_argument(
        "--protocol", metavar="NAME", help="how sets are judged; see `list protocols` (default: the profile's)"
    )
    axes.add_argument(
        "--nets",
        metavar="A,B",
        help="networks to train on each set, which is distilled once; see `list networks`, or all (default: the profile's)",
    )
    axes.add_argument(
        "--set", action="append", default=[], metavar="METHOD.FIELD=VALUE", help="a hyper-parameter; may be repeated"
    )
    axes.add_argument(
        "--set-if-run", action="append", default=[], help=argparse.SUPPRESS
    )  # the hyper-parameters of an experiment file whose methods were replaced
    axes.add_argument(
        "--judge-on",
        choices=("test", "validation"),
        default="test",
        help="validation: hold a part of train out, to tune on",
    )
    axes.add_argument(
        "--tune",
        action="store_true",
        help="first search each method's learning rates on the validation part of train; what that takes is charged",
    )
    axes.add_argument(
        "--tune-budget", type=_positive, metavar="N", help=f"most trials of each search (default: {_TUNE_BUDGET})"
    )
    axes.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="a file with methods, datasets ...; may be repeated",
    )
    axes.add_argument(
        "--stand-in", action="store_true", help="procedural clips in the place of a named dataset, and so labelled"
    )
    how = parser.add_argument_group("how to run it")
    how.add_argument(
        "--dry-run", action="store_true", help="print the plan: cells, states, bytes, estimated time; run nothing"
    )
    how.add_argument(
        "--resume", choices=get_args(Resume), default="missing",
        help="which planned cells to run: " + "; ".join(f"{name}: {text}" for name, text in _RESUME.items()) + " (default: missing)",
    )  # fmt: skip
    how.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, or auto (default)")
    how.add_argument(
        "--precision",
        metavar="NAME",
        default=FULL,
        help="in which number format networks compute; figures of two are never in one table: "
        + "; ".join(f"{name}: {text}" for name, text in PRECISIONS.items())
        + f" (default: {FULL})",
    )
    how.add_argument(
        "--jobs", type=_positive, metavar="N", help="cells at a time (default: 1; on GPUs --per-gpu for each)"
    )
    how.add_argument(
        "--per-gpu", type=_positive, default=1, metavar="N", help="cells that share a GPU (default: 1)"
    )  # fmt: skip
    how.add_argument(
        "--timeout",
        type=_minutes,
        metavar="M",
        help="stop each cell after this time; status timeout, kept to go on from",
    )
    how.add_argument(
        "--attempts", type=_positive, default=3, metavar="N",
        help="how often a cell whose worker process dies is tried (default: 3)",
    )  # fmt: skip
    engines.add_arguments(how)
    how.add_argument(
        "--limit-minutes", type=_minutes, metavar="M", help="stop after this time; the same command goes on from there"
    )
    how.add_argument(
        "--gain-of-full",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train the networks of full a second time, with its time frozen, for its temporal gain (default: yes)",
    )
    how.add_argument("--out", default="results", metavar="DIR", help="where records and sets go (default: results)")
    how.add_argument("--root", metavar="DIR", help="where the dataset lies (default: data/NAME, or BENCH_DATA/NAME)")
    how.add_argument("--plain", action="store_true", help="plain progress lines, also in a terminal")
    how.add_argument(
        "--log", choices=("tensorboard",), help="also write losses and accuracies to DIR/tensorboard (default: no)"
    )


def run(args: argparse.Namespace) -> int:
    """Plans, runs, prints the table."""
    return execute(args)[0]


def execute(args: argparse.Namespace) -> tuple[int, list[Record]]:
    """What `run` does; returns the exit code and the records of the grid (none after ``--dry-run``)."""
    mistakes = Mistakes()
    for sentence in args.mistakes:
        mistakes.add(BenchError(sentence))
    mistakes.attempt(check_device, args.device)
    mistakes.attempt(engines.check, args)
    registries = plugins.load(args.plugin)
    for plugin in registries.methods.unavailable():
        line = f"plugin '{plugin.name}' ({plugin.where}) is unavailable: {plugin.reason}"
        print(f"warning: {printable(line)}", file=sys.stderr)
    request = _request(args, registries, mistakes)
    cells = grid.plan(request, registries, mistakes)
    searches = tuning.searches(cells, registries, request.seeds[0]) if args.tune else []
    store = RecordStore(Path(args.out))
    if not args.dry_run and args.resume != "never":
        store.repair(lambda line: print(f"warning: {printable(line)}", file=sys.stderr))
    experience = Experience(registries, _threads(args.jobs))
    for record in store.all(history=False):
        experience.learn(record)
    tried: set[str] = set()

    def look() -> Agenda:
        budget = args.tune_budget or _TUNE_BUDGET
        return agenda.look(cells, searches, budget, registries, args.resume, tried, store.read)

    def estimate(now: Agenda) -> dict[str, float]:
        return experience.seconds([*now.to_do.values(), *now.planned()])

    start = look()
    if args.dry_run:
        agenda.print_plan(start, estimate(start), args.jobs or 1, sys.stdout)
        _print_notes(cells)
        return 0, []
    _print_notes(cells)
    agenda.print_summary(start, estimate(start), args.jobs or 1, sys.stderr)
    _check_writable(store.out)
    published = read(store.out / "published.csv")  # now: a line that is not valid is told before anything runs
    grid_name = grids.name_of(planned.cell.id() for planned in start.planned())
    if start.due:
        from bench.run.engines.engine import StoppedAtOnce

        try:
            _run_cells(args, look, tried, estimate, experience, grid_name)
        except StoppedAtOnce:
            raise
        except KeyboardInterrupt:
            _conclude(args, look(), store, published)
            raise
    end = look()
    records = _conclude(args, end, store, published)
    unfinished = end.undecided or any(to_run(_status(store.read(c.cell.id())), "missing") for c in end.cells)
    late = unfinished and args.resume != "never"
    if not late:
        grids.withdraw(store.out, grid_name)
    claims.sweep(store.out, lambda cell_id: not to_run(_status(store.read(cell_id)), "missing"))
    if late and args.limit_minutes is not None:
        print(
            f"time limit of {args.limit_minutes:g} minutes reached; the same command goes on from here", file=sys.stderr
        )
    bad = [record for record in records if record.status not in ("ok", "skipped")]
    return (1 if bad or late else 0), records


# ----------------------------------------------------------------------------------------------------------------------
# Reading the command line


def _request(args: argparse.Namespace, registries: Registries, mistakes: Mistakes) -> grid.Request:
    """What is asked for, as far as it is right; what is wrong goes to ``mistakes``."""
    if args.protocol is not None:
        mistakes.attempt(registries.protocols.get, args.protocol)
    profile = None if args.profile is None else mistakes.attempt(registries.profiles.get, args.profile)
    mistakes.attempt(_check_together, args)
    methods = _known(
        args.methods, "--methods", registries.methods, mistakes,
        {
            "all": [n for n, m in registries.methods if m.in_all or (args.budget is not None and m.fills_budget)],
            "everything": registries.methods.names(),
        },
    )  # fmt: skip
    kept = mistakes.attempt(_overrides, args.set_if_run) or {}
    kept = {name: values for name, values in kept.items() if name in methods}
    overrides = mistakes.attempt(_overrides, args.set) or {}
    overrides |= {name: {**values, **overrides.get(name, {})} for name, values in kept.items()}
    budgets = [mistakes.attempt(parse_bytes, text) for text in split_list(args.budget or "")]
    return grid.Request(
        methods=methods,
        datasets=_datasets(args, registries, mistakes),
        ipcs=mistakes.attempt(_numbers, "1" if args.ipc is None else args.ipc, "--ipc", 1) or (1,),
        seeds=mistakes.attempt(_numbers, args.seeds, "--seeds", 0) or (0,),
        settings=tuple(split_list(args.settings)) or ("dense",),
        profile=None if profile is None else profile.name,
        overrides=overrides,
        judged_on=args.judge_on,
        protocol=args.protocol,
        budgets=tuple(dict.fromkeys(size for size in budgets if size is not None)),
        storages=mistakes.attempt(check_storages, split_list(args.storage)) or (PLAIN,),
        nets=() if args.nets is None else _known_networks(args.nets, registries, mistakes),
        precision=mistakes.attempt(parse_precision, args.precision) or FULL,
    )


def _check_together(args: argparse.Namespace) -> None:
    """Refuses options that exclude each other.

    Raises:
        BenchError: all of them.
    """
    mistakes = Mistakes()
    if args.tune_budget is not None and not args.tune:
        mistakes.add(BenchError("--tune-budget: it is the budget of --tune, which is not given"))
    if args.tune and args.judge_on != "test":
        mistakes.add(
            BenchError(
                "--tune: with --judge-on validation the values would be judged on the clips that chose them; "
                "leave one of the two out"
            )
        )
    if args.budget is not None and args.ipc is not None:
        mistakes.add(
            BenchError("--budget: --ipc is given too; clips per class follow from the bytes, leave one of the two out")
        )
    if args.budget is not None and not split_list(args.budget):
        mistakes.add(BenchError("--budget: none given (such as 500KB,1MiB)"))
    mistakes.tell()


def _datasets(args: argparse.Namespace, registries: Registries, mistakes: Mistakes) -> tuple[Dataset[Any], ...]:
    texts = split_list(args.datasets)
    if not texts:
        mistakes.add(BenchError(f"--datasets: none given (valid: {', '.join(registries.datasets.names())})"))
    found = [mistakes.attempt(parse_dataset, text, registries, args.root) for text in texts]
    if args.stand_in:
        found = [None if dataset is None else mistakes.attempt(_stand_in, dataset) for dataset in found]
    return tuple(dataset for dataset in found if dataset is not None)


def networks(text: str, registries: Registries) -> tuple[str, ...]:
    """The names in a list of networks; all of them for ``all``.

    Raises:
        BenchError: none, or unknown ones.
    """
    mistakes = Mistakes()
    names = _known_networks(text, registries, mistakes)
    mistakes.tell()
    return names


def _known_networks(text: str, registries: Registries, mistakes: Mistakes) -> tuple[str, ...]:
    return _known(text, "--nets", registries.networks, mistakes, {"all": registries.networks.names()})


def _known(
    text: str, option: str, registry: Registry[Any], mistakes: Mistakes, words: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The names in a list that are registered, each once; a word alone stands for several."""
    if text.strip() in words:
        return tuple(words[text.strip()])
    names = tuple(dict.fromkeys(split_list(text)))
    if not names:
        mistakes.add(BenchError(f"{option}: none given (valid: {', '.join([*words, *registry.names()])})"))
    return tuple(name for name in names if mistakes.attempt(registry.get, name) is not None)


def _stand_in(dataset: Dataset[Any]) -> Dataset[Any]:
    from bench.data.standin import stand_in

    return stand_in(dataset)


def _numbers(text: str, option: str, least: int) -> tuple[int, ...]:
    """Numbers and ranges: ``0,1,5`` or ``0-4``."""
    numbers: list[int] = []
    for part in split_list(text):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BenchError(f"{option}: '{part}' is not a whole number of at least {least} (or a range such as 0-4)")
        if dash and int(last) < int(first):
            raise BenchError(f"{option}: '{part}' counts down; write {last}-{first}")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or min(numbers) < least:
        raise BenchError(f"{option}: '{text}' must hold whole numbers of at least {least}, such as 1,5")
    return tuple(dict.fromkeys(numbers))


def _overrides(texts: Sequence[str]) -> dict[str, dict[str, Value]]:
    overrides: dict[str, dict[str, Value]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        method, dot, field = target.strip().rpartition(".")
        if not (equals and dot and method and field):
            raise BenchError(f"--set: '{text}' is not METHOD.FIELD=VALUE, such as dm.lr=30")
        overrides.setdefault(method, {})[field] = value.strip()
    return overrides


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of minutes above 0")
    return minutes


def check_device(text: str) -> None:
    """Refuses what no machine has, without asking this one (that needs torch).

    Raises:
        BenchError: not the name of a device.
    """
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", text, re.ASCII) is None:
        raise BenchError(f"--device: '{text}' is no device (valid: auto, cpu, cuda, cuda:N)")


def _threads(jobs: int | None) -> int:
    """Threads that each cell will have on this machine's CPU, as far as that is known without torch."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    cores = os.cpu_count() or 1
    return max(1, (min(cores, int(told)) if told.isdecimal() and int(told) else cores) // (jobs or 1))


def choose_device(text: str) -> str:
    """The device that ``--device`` names.

    Raises:
        BenchError: it does not exist here.
    """
    check_device(text)

    import torch

    if text == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = text.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise BenchError("--device: no CUDA device is available here (valid: auto, cpu)")
    if number and int(number) >= torch.cuda.device_count():
        raise BenchError(f"--device: there is no {text}; {torch.cuda.device_count()} CUDA devices are available")
    return text


# ----------------------------------------------------------------------------------------------------------------------
# Running


def _run_cells(
    args: argparse.Namespace,
    look: Callable[[], Agenda],
    tried: set[str],
    estimate: Callable[[Agenda], dict[str, float]],
    experience: Experience,
    grid_name: str,
) -> None:
    """Runs what is to be run: round by round the trials of all searches, then the cells of the grid.

    Args:
        args: see there.
        look: gives the agenda of the moment.
        tried: takes in the id of each cell that is run.
        estimate: gives the seconds of what is planned, by ``experience``, which takes in each cell that ends.
        grid_name: under which it is written down what there is to do.
    """
    from bench.cli.progress import make_display
    from bench.run.cell import Context
    from bench.run.engines.engine import Order, Work, stamp
    from bench.run.engines.events import CellFinished, CellLog

    out = Path(args.out).absolute()  # workers may stand elsewhere
    device = args.device if engines.elsewhere(args) else choose_device(args.device)
    if not engines.elsewhere(args):
        require(parse_precision(args.precision), device)
    context = Context(
        out, paths.cache_root().absolute(), device, os.cpu_count() or 1,
        gain_of_full=args.gain_of_full, anew=args.resume == "always",
    )  # fmt: skip
    deadline = None if args.limit_minutes is None else time.monotonic() + 60 * args.limit_minutes
    timeout = None if args.timeout is None else 60 * args.timeout
    work = Work(tuple(args.plugin), context, deadline, timeout, args.attempts, args.per_gpu)
    past: dict[str, float] = {}  # kept for the display, which learns from them how long the rest may take
    with contextlib.ExitStack() as opened:
        log = None if args.log is None else opened.enter_context(_event_log(out))
        display = opened.enter_context(make_display(sys.stderr, plain=True if args.plain else None))
        engine = opened.enter_context(engines.make(args, device))

        def tell(event: Event) -> None:
            display.handle(event)
            if log is not None:
                log.handle(event)
            if isinstance(event, CellFinished):
                experience.learn(event.record)
                display.revise(of_display(now))

        def of_display(now: Agenda) -> dict[str, float]:
            seconds = estimate(now)
            to_do = {key: seconds[planned.cell.id()] for key, planned in now.to_do.items()}
            return past | to_do

        now = look()
        _announce(now, estimate(now), out, grid_name)
        _build_stores(list(now.to_do.values()), context, display)
        while now.due and not work.is_late():
            display.start(now.total, now.total - len(now.to_do), of_display(now), args.jobs or 1)
            for line in agenda.trial_lines(now):
                display.handle(CellLog("tuning", line))
            ids = {planned.cell.id() for planned in now.due}
            tried |= ids
            _announce(now, estimate(now), out, grid_name)
            orders = [Order(planned, stamp(now.records.get(planned.cell.id()))) for planned in now.due]
            engine.run(orders, work, tell)
            seconds = estimate(now)
            past |= {key: seconds[key] for key in ids}
            now = look()


def _announce(now: Agenda, seconds: dict[str, float], out: Path, grid_name: str) -> None:
    """Writes down what there is to do, for `bench status`; cells whose values are still to be chosen are not known yet."""
    names = {planned.cell.id(): planned.cell.title() for planned in now.planned()}
    listed = [grids.Listed(key, title, seconds[key]) for key, title in names.items() if key not in now.undecided]
    grids.announce(out, grid_name, listed)


def _conclude(args: argparse.Namespace, end: Agenda, store: RecordStore, published: Sequence[Reported]) -> list[Record]:
    """Says what was chosen, writes into the records of tuned cells how, and prints the tables.

    Returns:
        The records of the grid.
    """
    for state in end.searches:
        if not state.coming:
            print(printable(agenda.choice(state)), file=sys.stderr)
    for cell_id, state in end.chosen.items() if args.resume != "never" else ():
        record = store.read(cell_id)
        if record is not None and (told := tuning.attached(record, state)) != record:
            store.write(told)
    records = [record for planned in end.decided() if (record := store.read(planned.cell.id())) is not None]
    print(formats.render(records, published=published), end="")
    return records


def _build_stores(waiting: Sequence[PlannedCell], context: Any, display: Display) -> None:
    """Decodes each dataset once, before any cell starts and in this process, which may have children."""
    from bench.core.reporter import Reporter
    from bench.run.cell import open_store
    from bench.run.engines.events import CellLog, CellProgress

    seen: set[str] = set()
    for planned in waiting:
        key = f"{planned.index.fingerprint}-{planned.geometry}"
        if planned.declined is not None or key in seen:
            continue
        seen.add(key)
        name = f"data:{planned.index.dataset}"
        reporter = Reporter(
            step=lambda phase, step, total, loss, name=name: display.handle(
                CellProgress(name, phase, step, total, loss)
            ),  # type: ignore[misc]
            log=lambda message, name=name: display.handle(CellLog(name, message)),  # type: ignore[misc]
        )
        store = open_store(planned, context, reporter)
        for clip, reason in store.left_out:
            display.handle(CellLog(name, f"left out {clip}: {reason}"))


def _event_log(out: Path) -> TensorBoardLog:
    from bench.cli.tensorboard import TensorBoardLog

    return TensorBoardLog(out)


def _status(record: Record | None) -> Any:
    return None if record is None else record.status


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BenchError(f"--out {out}: cannot write there ({error.strerror})") from error


# ----------------------------------------------------------------------------------------------------------------------
# Printing


def _print_notes(cells: Sequence[PlannedCell]) -> None:
    for note in dict.fromkeys(f"{c.index.dataset}: {note}" for c in cells for note in c.index.notes):
        print(printable(note), file=sys.stderr)
