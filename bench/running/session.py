"""One run of a grid, from its options to its records: plan, engine, records. It prints nothing."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from bench import plugins
from bench.core import lazy, paths
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import require
from bench.core.reporter import Reporter
from bench.core.text import duration
from bench.results import claims, under_way
from bench.results.cells import Cell
from bench.results.records import Record, RecordStore, to_run
from bench.results.under_way import Listed
from bench.running.devices import choose_device
from bench.running.engines import choice
from bench.running.engines.engine import Order, Run, stamp
from bench.running.engines.events import CellFinished, CellLog, CellProgress, Event
from bench.running.observer import Observer
from bench.running.options.options import TUNE_BUDGET, RunOptions
from bench.running.options.request import make_request
from bench.running.plan import resolving, tuning
from bench.running.plan.agenda import Agenda, look
from bench.running.plan.estimate import Experience, elapsed, threads
from bench.running.plan.memory import Room, peaks, room_of
from bench.running.plan.plan import PlannedCell, plan
from bench.running.plan.resolving import Resolution
from bench.running.plan.tuning import Search

if TYPE_CHECKING:
    from bench.running.cell.context import Context

Listen = Callable[[Event], None]


@final
class Session:
    """One run of a grid.

    Making one plans the grid. `run` carries out what is to be done, `conclude` and `finish` end the run.

    Args:
        options: what was asked for.
        mistakes: what is known to be wrong with them already.
        warn: told, a line each, what is missing and what was mended.

    Attributes:
        options: as given.
        cells: the plan.
        start: what there was to do when it was made.

    Raises:
        BenchError: all mistakes.
    """

    def __init__(self, options: RunOptions, mistakes: Mistakes, warn: Callable[[str], None]) -> None:
        self.options = options
        mistakes.attempt(paths.check_environment)
        mistakes.attempt(_check_folder, options.out)
        mistakes.attempt(choice.check, options)
        # What the user has set, in a notebook; read before plugins are loaded, which may set it, too.
        self._threads = importlib.import_module("torch").get_num_threads() if lazy.is_loaded("torch") else None
        probes = None if options.debug else plugins.Probes(options.plugin)
        self._registries = plugins.load(options.plugin, probes=probes, debug=options.debug)
        for plugin in self._registries.methods.unavailable():
            warn(f"plugin '{plugin.name}' ({plugin.where}) is unavailable: {plugin.reason}")
        request = make_request(options, self._registries, mistakes)
        self.cells = plan(request, self._registries, mistakes)
        if options.resolve is not None and not resolving.pairs(self.cells):
            raise BenchError(
                "--resolve: no pair to compare; add random to --methods, or a method that learns from a start"
            )
        self._first_seed = request.seeds[0]
        self._searches = self._tuned()
        self._store = RecordStore(options.out)
        self._older: dict[str, Record] = {}
        if options.dry_run or options.resume == "never":  # the folder stays as it is
            self._older = self._store.older()
        else:
            self._store.repair(warn)
        self._experience = Experience(self._registries, threads(options.jobs))
        for record in self._store.all(history=False):
            self._experience.learn(record)
        self._resolution: Resolution | None = None
        self._tried: set[str] = set()
        self._past: dict[str, float] = {}  # estimates of what has run, by which an observer judges those of the rest
        first = self.agenda()
        self._name = under_way.name_of(planned.cell.id() for planned in first.planned())
        self.start = self._grown(first)

    def agenda(self) -> Agenda:
        """What there is to do at this moment."""
        budget = self.options.tune_budget or TUNE_BUDGET
        outdated = _outdated_clips(self.cells)
        return look(
            self.cells, self._searches, budget, self._registries, self.options.resume, self._tried, self._read,
            lambda record: record.data.get("digest") in outdated.get(_clips_of(record.cell), ()),
        )  # fmt: skip

    def estimates(self, agenda: Agenda) -> dict[str, float]:
        """Seconds that each cell of an agenda may take, by id."""
        return self._experience.seconds([*agenda.to_do.values(), *agenda.planned()])

    def room(self) -> Room | None:
        """The memory of the device that cells will run on; None if this machine cannot know it."""
        return None if choice.is_elsewhere(self.options) else room_of(self.options.device)

    def peaks(self, agenda: Agenda, room: Room) -> dict[str, int]:
        """Bytes of memory that each cell of an agenda will take at its peak, by id."""
        return peaks([*agenda.to_do.values(), *agenda.planned()], self._registries, room)

    def check_writable(self) -> None:
        """Makes the folder of results.

        Raises:
            BenchError: it cannot be written to.
        """
        out = self.options.out
        try:
            out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=out).close()
        except OSError as error:
            raise BenchError(f"--out {out}: cannot write there ({error.strerror})") from error

    def run(self, observer: Observer, log: Listen | None = None) -> None:
        """Runs what is to be run: round by round the trials of all searches, then the cells of the grid,
        then the seeds that `--resolve` adds.

        Args:
            observer: shows what happens.
            log: told of the same events, after it.

        Raises:
            KeyboardInterrupt: the user stopped it; cells under way are recorded as interrupted.
            StoppedAtOnce: the user stopped it twice.
            BenchError: it cannot run here.
        """
        shared = self._shared()
        with choice.make(self.options, shared.context.device, self._threads) as engine:
            now = self.agenda()

            def tell(event: Event) -> None:
                observer.handle(event)
                if log is not None:
                    log(event)
                if isinstance(event, CellFinished):
                    self._experience.learn(event.record)
                    observer.revise(self._seconds(now))

            self._announce(now)
            _build_stores(list(now.to_do.values()), shared.context, observer)
            now = self.agenda()  # now it is known of all clips whether they have changed
            while now.due and not shared.is_late():
                observer.start(now.total, now.total - len(now.to_do), self._seconds(now), self.options.jobs or 1)
                for line in now.trial_lines():
                    observer.handle(CellLog("tuning", line))
                due = {planned.cell.id() for planned in now.due}
                self._tried |= due
                self._announce(now)
                engine.run(
                    [Order(planned, stamp(now.records.get(planned.cell.id()))) for planned in now.due], shared, tell
                )
                seconds = self.estimates(now)
                self._past |= {cell_id: seconds[cell_id] for cell_id in due}
                cells = len(self.cells)
                now = self._grown(self.agenda())
                for line in self.added_lines(now) if len(self.cells) > cells else ():
                    observer.handle(CellLog("resolve", line))

    def added_lines(self, now: Agenda) -> list[str]:
        """The state of each pair, and how long the cells take that were added for them."""
        if self._resolution is None:
            return []
        to_run = [planned for planned in now.to_do.values() if planned.added]
        seconds = self._experience.seconds(to_run)
        cells = f"{len(to_run)} cell{'s' * (len(to_run) != 1)}"
        total = [f"{cells} more, about {duration(elapsed(seconds, self.options.jobs or 1))}"] if to_run else []
        return [*self._resolution.lines, *total]

    def conclude(self) -> Agenda:
        """Writes into the records of tuned cells how their values were chosen.

        Returns:
            The agenda at the end.
        """
        end = self.agenda()
        for cell_id, state in end.chosen.items() if self.options.resume != "never" else ():
            record = self._store.read(cell_id)
            if record is not None and (attached := tuning.attached(record, state)) != record:
                self._store.write(attached)
        return end

    def records(self, agenda: Agenda) -> list[Record]:
        """The records of the cells whose values stand."""
        records = [self._read(planned.cell.id()) for planned in agenda.decided()]
        return [record for record in records if record is not None]

    def finish(self, end: Agenda) -> bool:
        """Clears away what is no longer under way.

        Returns:
            Whether everything that was to be run has been.
        """
        open_cells = any(self._is_open(planned.cell.id()) for planned in end.cells)
        done = self.options.resume == "never" or not (end.undecided or open_cells)
        if done:
            under_way.withdraw(self._store.out, self._name)
        claims.sweep(self._store.out, lambda cell_id: not self._is_open(cell_id))
        return done

    def _grown(self, agenda: Agenda) -> Agenda:
        """The agenda; where nothing is left to do and pairs need more seeds, the one with their cells."""
        points = self.options.resolve
        while points is not None:
            self._resolution = resolving.look(self.cells, self._chosen(agenda), self._read, points)
            if agenda.due or not self._resolution.added:
                break
            self.cells = [*self.cells, *self._resolution.added]
            self._searches = self._tuned()
            agenda = self.agenda()
            if agenda.due:  # the last look says why
                break
        return agenda

    def _tuned(self) -> list[Search]:
        return tuning.searches(self.cells, self._registries, self._first_seed) if self.options.tune else []

    def _chosen(self, agenda: Agenda) -> dict[str, PlannedCell]:
        """The tuned cells, by the ids of those with the given values."""
        done = [state for state in agenda.searches if not state.coming]
        return {key: cell for state in done for key, cell in state.tuned_cells(self._registries).items()}

    def _read(self, cell_id: str) -> Record | None:
        return self._store.read(cell_id) or self._older.get(cell_id)

    def _is_open(self, cell_id: str) -> bool:
        record = self._read(cell_id)
        return to_run(None if record is None else record.status, "missing")

    def _shared(self) -> Run:
        """What all cells have in common.

        Raises:
            BenchError: there is no such device, or it does not compute so.
        """
        from bench.running.cell.context import Context

        options = self.options
        device = options.device if choice.is_elsewhere(options) else choose_device(options.device)
        if not choice.is_elsewhere(options):
            require(options.precision, device)
        context = Context(
            options.out.absolute(),  # workers may stand elsewhere
            paths.cache_root().absolute(),
            device,
            1 if options.debug else os.cpu_count() or 1,
            gain_of_full=options.gain_of_full,
            anew=options.resume == "always",
            debug=options.debug,
        )
        deadline = None if options.limit_minutes is None else time.monotonic() + 60 * options.limit_minutes
        timeout = None if options.timeout is None else 60 * options.timeout
        return Run(options.plugin, context, deadline, timeout, options.attempts, options.per_gpu)

    def _seconds(self, now: Agenda) -> dict[str, float]:
        """The seconds of what is to be done, and of what was."""
        seconds = self.estimates(now)
        return self._past | {key: seconds[planned.cell.id()] for key, planned in now.to_do.items()}

    def _announce(self, now: Agenda) -> None:
        """Writes down what there is to do, for `bench status`; cells whose values are still to be chosen are not known yet."""
        seconds = self.estimates(now)
        titles = {planned.cell.id(): planned.title() for planned in now.planned()}
        cells = [Listed(key, title, seconds[key]) for key, title in titles.items() if key not in now.undecided]
        under_way.announce(self.options.out.absolute(), self._name, cells)


def _check_folder(out: Path) -> None:
    if not paths.may_be_folder(out):
        raise BenchError(f"--out {out}: not a folder")


def _clips_of(cell: Cell) -> tuple[str, tuple[tuple[str, int], ...]]:
    """What tells the clips of one cell from those of another."""
    return cell.fingerprint, tuple(sorted(cell.geometry.items()))


def _outdated_clips(planned_cells: Sequence[PlannedCell]) -> dict[object, frozenset[str]]:
    """For all data, the digests of clips that were decoded when their files were in another state."""
    from bench.data import clip_store

    by_clips = {_clips_of(planned.cell): planned for planned in planned_cells}
    cache = paths.cache_root()
    return {clips: clip_store.outdated(planned.index, planned.geometry, cache) for clips, planned in by_clips.items()}


def _build_stores(planned_cells: list[PlannedCell], context: Context, observer: Observer) -> None:
    """Decodes each data set once, before any cell starts and in this process, which may have children."""
    from bench.running.cell.real_clips import open_store

    stores: dict[str, PlannedCell] = {}
    for planned in planned_cells:
        if planned.declined is None and planned.fault is None:
            stores.setdefault(f"{planned.index.fingerprint}-{planned.geometry}", planned)
    for planned in stores.values():
        name = f"data:{planned.index.dataset}"
        try:
            store = open_store(planned, context, _reporter(name, observer))
        except (Exception, SystemExit) as error:
            if context.debug or isinstance(error, BenchError):
                raise
            continue  # a plugin's dataset; its cells meet the same and say so
        for clip, reason in store.left_out:
            observer.handle(CellLog(name, f"left out {clip}: {reason}"))


def _reporter(name: str, observer: Observer) -> Reporter:
    """Tells an observer of the decoding of data as if it were a cell of that name."""
    return Reporter(
        step=lambda phase, step, total, loss: observer.handle(CellProgress(name, phase, step, total, loss)),  # type: ignore[arg-type]
        log=lambda message: observer.handle(CellLog(name, message)),
    )
