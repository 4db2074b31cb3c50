"""What a run has before it, as far as is known at one moment: trials of searches, then the grid's cells; and how it is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TextIO

from bench.core.storage import PLAIN
from bench.core.text import written as written_bytes
from bench.plugins import Registries
from bench.results.records import Record, Resume, Status, to_run
from bench.run import tuning
from bench.run.estimate import elapsed
from bench.run.plan import PlannedCell
from bench.run.tuning import Search, State
from bench.tables.text_table import printable


@dataclass(frozen=True)
class Agenda:
    """A run at one moment.

    Attributes:
        cells: the grid, each cell with the values that were chosen for it.
        undecided: ids of those whose values are still to be chosen; they stand there with the given values.
        searches: how far each search is.
        chosen: the finished search behind each tuned cell of the grid, by id.
        due: what can be run now, side by side: the next trials of all searches, or else the cells of the grid.
        to_do: all that is to be run, by id; a trial that depends on the scores of others is stood in for by the cell it serves.
        total: trials and cells, also those that are finished.
        records: of all known trials and cells, by id.
    """

    cells: tuple[PlannedCell, ...]
    undecided: frozenset[str]
    searches: tuple[State, ...]
    chosen: Mapping[str, State]
    due: tuple[PlannedCell, ...]
    to_do: Mapping[str, PlannedCell]
    total: int
    records: Mapping[str, Record | None]

    def planned(self) -> list[PlannedCell]:
        """Every known trial and cell."""
        over = [trial.planned for state in self.searches for trial in state.trials if trial.planned is not None]
        return [*over, *(planned for state in self.searches for _, planned in state.coming), *self.cells]

    def goes_on(self, state: State) -> bool:
        """Whether trials of a search are still to be run."""
        return any(planned.cell.id() in self.to_do for _, planned in state.coming)

    def decided(self) -> list[PlannedCell]:
        """The cells of the grid whose values stand."""
        return [planned for planned in self.cells if planned.cell.id() not in self.undecided]


def look(
    cells: Sequence[PlannedCell],
    searches: Sequence[Search],
    budget: int,
    registries: Registries,
    resume: Resume,
    tried: AbstractSet[str],
    read: Callable[[str], Record | None],
) -> Agenda:
    """The agenda that the records give.

    Args:
        cells: the plan, with the given values.
        searches, budget: what is tuned, and the trials that each may have.
        registries: all parts.
        resume: which cells are run again.
        tried: ids of what this run has carried out already; it is not tried twice.
        read: the record of a cell.
    """
    records: dict[str, Record | None] = {}

    def status(cell_id: str) -> Status | None:
        if cell_id not in records:
            records[cell_id] = read(cell_id)
        record = records[cell_id]
        return None if record is None else record.status

    def is_due(cell_id: str) -> bool:
        return cell_id not in tried and to_run(status(cell_id), resume)

    def counts(cell_id: str) -> Record | None:
        return None if is_due(cell_id) or to_run(status(cell_id), "missing") else records[cell_id]

    states = [tuning.replay(search, budget, registries, counts) for search in searches]
    tuned: dict[str, PlannedCell] = {}
    chosen: dict[str, State] = {}
    undecided: set[str] = set()
    trials: dict[str, PlannedCell] = {}
    later: dict[str, PlannedCell] = {}
    for state in states:
        if not state.coming:
            taking = state.tuned_cells(registries)
            tuned |= taking
            chosen |= {planned.cell.id(): state for planned in taking.values()}
            continue
        undecided |= {planned.cell.id() for planned in state.search.cells}
        due = {planned.cell.id(): planned for _, planned in state.coming if is_due(planned.cell.id())}
        trials |= due
        if due:
            served = state.search.cells
            later |= {f"later trial {number} of {served[0].cell.id()}": served[0] for number in range(state.further)}
            later |= {planned.cell.id(): planned for planned in served}
    final = {entry.cell.id(): entry for entry in (tuned.get(planned.cell.id(), planned) for planned in cells)}
    ready = {key: planned for key, planned in final.items() if is_due(key) and key not in undecided}
    return Agenda(
        cells=tuple(final.values()),
        undecided=frozenset(undecided),
        searches=tuple(states),
        chosen=chosen,
        due=tuple((trials or ready).values()),
        to_do={**trials, **later, **ready},
        total=len(final) + sum(len(state.trials) + len(state.coming) + state.further for state in states),
        records=records,
    )


def print_plan(agenda: Agenda, estimates: Mapping[str, float], workers: int, stream: TextIO) -> None:
    """The table of a dry run, and its summary.

    Args:
        agenda: what is to be shown.
        estimates: seconds of each of ``agenda.planned()``, by id.
        workers: cells that will run at a time.
        stream: where it goes.
    """
    from tabulate import tabulate

    rows = []
    for state in agenda.searches:
        over = [(trial.factor, trial.planned) for trial in state.trials if trial.planned is not None]
        for factor, planned in [*over, *state.coming]:
            rows.append(_row(agenda, planned, estimates, f"; trial of {written(state.search.values(factor))}"))
        if state.further and agenda.goes_on(state):
            served = state.search.cells[0]
            about = state.further * estimates[served.cell.id()]
            text = f"run: at most {state.further} more trial{'s' * (state.further > 1)}, where the scores lead"
            rows.append(_cells_of_row(served, "-", state.search.seed, about, text))
    for planned in agenda.cells:
        cell_id = planned.cell.id()
        if cell_id in agenda.undecided:
            text = ("run" if cell_id in agenda.to_do else "keep") + ": with what the trials choose"
            rows.append(_cells_of_row(planned, "-", planned.cell.seed, estimates[cell_id], text))
        else:
            state_behind = agenda.chosen.get(cell_id)
            values = "" if state_behind is None else written(state_behind.search.values(state_behind.factor()))
            rows.append(_row(agenda, planned, estimates, f"; {values}, as the trials chose" if values else ""))
    headers = ["cell", "method", "dataset", "IPC", "setting", "seed", "profile", "stored MiB", "about", "state"]
    print(tabulate(rows, headers=headers, disable_numparse=True), end="\n\n", file=stream)
    print_summary(agenda, estimates, workers, stream)


def _row(agenda: Agenda, planned: PlannedCell, estimates: Mapping[str, float], remark: str) -> list[object]:
    cell_id = planned.cell.id()
    record = agenda.records.get(cell_id)
    state = "run" if cell_id in agenda.to_do else "keep"
    if planned.declined is not None:
        state = f"skip: {planned.declined}"
    if record is not None:
        state += f" (recorded: {record.status})"
    return _cells_of_row(planned, cell_id[:12], planned.cell.seed, estimates[cell_id], state + remark)


def _cells_of_row(planned: PlannedCell, name: str, seed: int | None, seconds: float, state: str) -> list[object]:
    from bench.core.text import duration

    cell = planned.cell
    profile = (
        cell.profile if cell.evaluation_network is None else f"{cell.profile}, judged by {cell.evaluation_network}"
    )
    return [
        name, cell.method, printable(cell.dataset), _amount(planned), cell.setting,
        "-" if seed is None else seed, profile, f"{planned.stored_bytes / 2**20:.2f}", duration(seconds), printable(state),
    ]  # fmt: skip


def _amount(planned: PlannedCell) -> str:
    """Clips a class; with a budget in bytes the most that can fit."""
    cell = planned.cell
    if cell.ipc is None:
        return "all"
    codec = f" {cell.storage}" if cell.storage != PLAIN else ""
    return (str(cell.ipc) if cell.budget is None else f"up to {cell.ipc} in {written_bytes(cell.budget)}") + codec


def print_summary(agenda: Agenda, estimates: Mapping[str, float], workers: int, stream: TextIO) -> None:
    """How much there is to do, in a line or two; see `print_plan`."""
    from bench.core.text import duration

    seconds = elapsed({key: estimates[planned.cell.id()] for key, planned in agenda.to_do.items()}, workers)
    sets = {
        key if p.cell.evaluation_network is None else p.cell.distillation().id(): p for key, p in agenda.to_do.items()
    }
    stored = sum(planned.stored_bytes for planned in sets.values()) / 2**20
    at_once = f", {workers} cells at a time" if workers > 1 else ""
    where = f"on {os.cpu_count()} cores{at_once}"
    cost = f": about {duration(seconds)} {where}, {stored:.1f} MiB of sets" if agenda.to_do else ""
    print(f"{agenda.total} cells, {len(agenda.to_do)} to run{cost}", file=stream)
    open_searches = [state for state in agenda.searches if agenda.goes_on(state)]
    if open_searches:
        most = sum(len(state.coming) + state.further for state in open_searches)
        print(
            f"of these at most {most} are trials on the validation part of train, to choose {_fields(open_searches)}",
            file=stream,
        )


def _fields(states: Sequence[State]) -> str:
    return ", ".join(
        dict.fromkeys(f"{s.search.cells[0].cell.method}.{name}" for s in states for name in s.search.fields)
    )


def written(values: Mapping[str, float]) -> str:
    """Hyper-parameters as text: ``lr=30``."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items())


def trial_lines(agenda: Agenda) -> list[str]:
    """What each search is about to try, a line each."""
    return [
        f"{state.search.title()}: trial{'s' * (len(values) > 1)} of {'; '.join(values)}"
        for state in agenda.searches
        if (values := [written(state.search.values(factor)) for factor, _ in state.coming])
    ]


def choice(state: State) -> str:
    """What a finished search chose, in a line."""
    scores = [score for trial in state.trials if (score := trial.score()) is not None]
    failed = len(state.trials) - len(scores)
    found = f"{100 * max(scores):.1f} % on validation" if scores else "no trial gave a score"
    trials = f"{len(state.trials)} trial{'s' * (len(state.trials) > 1)}" + (
        f", {failed} of them failed" if failed else ""
    )
    return f"tuned {state.search.title()}: {written(state.search.values(state.factor()))} ({found}; {trials})"
