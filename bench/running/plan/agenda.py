"""What a run has before it, as far as is known at one moment: trials of searches, then the grid's cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import final

from bench.plugins import Registries
from bench.results.records import Record, Resume, Status, to_run
from bench.running.plan import tuning
from bench.running.plan.plan import PlannedCell
from bench.running.plan.tuning import Search, State


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
        outdated: ids of the grid's cells whose records are of clips that have changed since, or may have.
    """

    cells: tuple[PlannedCell, ...]
    undecided: frozenset[str]
    searches: tuple[State, ...]
    chosen: Mapping[str, State]
    due: tuple[PlannedCell, ...]
    to_do: Mapping[str, PlannedCell]
    total: int
    records: Mapping[str, Record | None]
    outdated: frozenset[str] = frozenset()

    def planned(self) -> list[PlannedCell]:
        """Every known trial and cell."""
        run = [trial.planned for state in self.searches for trial in state.trials if trial.planned is not None]
        coming = [planned for state in self.searches for _, planned in state.coming]
        return [*run, *coming, *self.cells]

    def goes_on(self, state: State) -> bool:
        """Whether trials of a search are still to be run."""
        return any(planned.cell.id() in self.to_do for _, planned in state.coming)

    def trial_lines(self) -> list[str]:
        """What each search is about to try, a line each."""
        return [
            f"{state.search.title()}: trial{'s' * (len(state.coming) > 1)} of "
            + "; ".join(state.search.written(factor) for factor, _ in state.coming)
            for state in self.searches
            if state.coming
        ]

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
    outdated: Callable[[Record], bool] = lambda record: False,
) -> Agenda:
    """The agenda that the records give.

    Args:
        cells: the plan, with the given values.
        searches, budget: what is tuned, and the trials that each may have.
        registries: all parts.
        resume: which cells are run again.
        tried: ids of what this run has carried out already; it is not tried twice.
        read: the record of a cell.
        outdated: whether a record is of clips that have changed since.
    """
    known = _Known(resume, tried, read, outdated)
    states = [tuning.replay(search, budget, registries, known.standing) for search in searches]
    tuned: dict[str, PlannedCell] = {}
    chosen: dict[str, State] = {}
    for state in states:
        if not state.coming:
            with_chosen = state.tuned_cells(registries)
            tuned |= with_chosen
            chosen |= {planned.cell.id(): state for planned in with_chosen.values()}
    grid = {planned.cell.id(): planned for planned in (tuned.get(given.cell.id(), given) for given in cells)}
    undecided = {planned.cell.id() for state in states if state.coming for planned in state.search.cells}
    trials, later = _trials(states, known)
    ready = {key: planned for key, planned in grid.items() if known.is_due(key) and key not in undecided}
    return Agenda(
        cells=tuple(grid.values()),
        undecided=frozenset(undecided),
        searches=tuple(states),
        chosen=chosen,
        due=tuple((trials or ready).values()),
        to_do={**trials, **later, **ready},
        total=len(grid) + sum(len(state.trials) + len(state.coming) + state.further for state in states),
        records=known.records,
        outdated=frozenset(key for key in grid if known.is_outdated(key)),
    )


@final
class _Known:
    """The records of cells, each read once, and what they say is to be run."""

    def __init__(
        self,
        resume: Resume,
        tried: AbstractSet[str],
        read: Callable[[str], Record | None],
        outdated: Callable[[Record], bool],
    ) -> None:
        self.records: dict[str, Record | None] = {}
        self._resume = resume
        self._tried = tried
        self._read = read
        self._outdated = outdated

    def is_due(self, cell_id: str) -> bool:
        """Whether a cell is to be run."""
        if cell_id in self._tried:
            return False
        return to_run(self._status(cell_id), self._resume) or (self._resume != "never" and self.is_outdated(cell_id))

    def is_outdated(self, cell_id: str) -> bool:
        """Whether a cell has a record of clips that have changed since."""
        self._status(cell_id)
        record = self.records[cell_id]
        return record is not None and self._outdated(record)

    def standing(self, cell_id: str) -> Record | None:
        """The record of a cell, if it is a finished one and the cell is not to be run again."""
        is_open = self.is_due(cell_id) or to_run(self._status(cell_id), "missing")
        return None if is_open else self.records[cell_id]

    def _status(self, cell_id: str) -> Status | None:
        if cell_id not in self.records:
            self.records[cell_id] = self._read(cell_id)
        record = self.records[cell_id]
        return None if record is None else record.status


def _trials(states: Sequence[State], known: _Known) -> tuple[dict[str, PlannedCell], dict[str, PlannedCell]]:
    """The trials that can be run now, and what follows them: later trials, stood in for by the cells that they serve."""
    now: dict[str, PlannedCell] = {}
    later: dict[str, PlannedCell] = {}
    for state in states:
        due = {planned.cell.id(): planned for _, planned in state.coming if known.is_due(planned.cell.id())}
        now |= due
        if due:
            served = state.search.cells
            later |= {f"later trial {number} of {served[0].cell.id()}": served[0] for number in range(state.further)}
            later |= {planned.cell.id(): planned for planned in served}
    return now, later
