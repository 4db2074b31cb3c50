"""The plan of a run as a person reads it: the table of a dry run, and lines on how much there is to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from bench.core.storage import PLAIN
from bench.core.text import duration, printable
from bench.core.text import written as written_bytes
from bench.running.plan.agenda import Agenda
from bench.running.plan.estimate import elapsed
from bench.running.plan.plan import PlannedCell
from bench.running.plan.tuning import State

HEADERS = ["cell", "method", "dataset", "IPC", "setting", "seed", "profile", "stored MiB", "peak GiB", "about", "state"]


def plan_text(agenda: Agenda, estimates: Mapping[str, float], peaks: Mapping[str, int], workers: int) -> str:
    """The table of a dry run, and its summary.

    Args:
        agenda: what is to be shown.
        estimates: seconds of each of ``agenda.planned()``, by id.
        peaks: bytes of memory of each, as far as they are known.
        workers: cells that will run at a time.
    """
    from tabulate import tabulate

    rows = [row for state in agenda.searches for row in _rows_of_search(agenda, state, estimates, peaks)]
    rows += [_row_of_cell(agenda, planned, estimates, peaks) for planned in agenda.cells]
    table = tabulate(rows, headers=HEADERS, disable_numparse=True)
    return f"{table}\n\n{summary(agenda, estimates, peaks, workers)}"


def _rows_of_search(
    agenda: Agenda, state: State, estimates: Mapping[str, float], peaks: Mapping[str, int]
) -> list[list[object]]:
    """The trials that are over, those that can be run now, and how many may follow."""
    search = state.search
    over = [(trial.factor, trial.planned) for trial in state.trials if trial.planned is not None]
    rows = [
        _row(agenda, planned, estimates, peaks, f"; trial of {search.written(factor)}")
        for factor, planned in [*over, *state.coming]
    ]
    if state.further and agenda.goes_on(state):
        served = search.cells[0]
        seconds = state.further * estimates[served.cell.id()]
        text = f"run: at most {state.further} more trial{'s' * (state.further > 1)}, where the scores lead"
        rows.append(_texts(served, "-", search.seed, seconds, peaks, text))
    return rows


def _row_of_cell(
    agenda: Agenda, planned: PlannedCell, estimates: Mapping[str, float], peaks: Mapping[str, int]
) -> list[object]:
    """A cell of the grid, with the values that were chosen for it or a word on how they will be."""
    cell_id = planned.cell.id()
    if cell_id in agenda.undecided:
        text = ("run" if cell_id in agenda.to_do else "keep") + ": with what the trials choose"
        return _texts(planned, "-", planned.cell.seed, estimates[cell_id], peaks, text)
    state = agenda.chosen.get(cell_id)
    remark = "" if state is None else f"; {state.search.written(state.factor())}, as the trials chose"
    return _row(agenda, planned, estimates, peaks, remark)


def _row(
    agenda: Agenda, planned: PlannedCell, estimates: Mapping[str, float], peaks: Mapping[str, int], remark: str
) -> list[object]:
    cell_id = planned.cell.id()
    record = agenda.records.get(cell_id)
    state = "run" if cell_id in agenda.to_do else "keep"
    if planned.declined is not None:
        state = f"skip: {planned.declined}"
    if planned.fault is not None:
        state = f"fail: {planned.fault.reason}"
    if record is not None:
        state += f" (recorded: {record.status}{', but the clips may have changed' * (cell_id in agenda.outdated)})"
    return _texts(planned, cell_id[:12], planned.cell.seed, estimates[cell_id], peaks, state + remark)


def _texts(
    planned: PlannedCell, name: str, seed: int | None, seconds: float, peaks: Mapping[str, int], state: str
) -> list[object]:
    cell = planned.cell
    profile = cell.profile + (f", judged by {cell.evaluation_network}" if cell.evaluation_network is not None else "")
    stored, peak = f"{planned.stored_bytes / 2**20:.2f}", _gibibytes(peaks.get(cell.id(), 0))
    setting = planned.setting.label(planned.geometry.frames)
    return [
        name, cell.method, printable(planned.written), _amount(planned), setting, "-" if seed is None else seed, profile,
        stored, peak, duration(seconds), printable(state),
    ]  # fmt: skip


def _gibibytes(peak: int) -> str:
    return f"{peak / 2**30:.2f}" if peak else "-"


def _amount(planned: PlannedCell) -> str:
    """Clips a class; with a budget in bytes the most that can fit."""
    cell = planned.cell
    if cell.ipc is None:
        return "all"
    codec = f" {cell.storage}" if cell.storage != PLAIN else ""
    return (str(cell.ipc) if cell.budget is None else f"up to {cell.ipc} in {written_bytes(cell.budget)}") + codec


def summary(agenda: Agenda, estimates: Mapping[str, float], peaks: Mapping[str, int], workers: int) -> str:
    """How much there is to do, in a line or two; see `plan_text`."""
    text = f"{agenda.total} cell{'s' * (agenda.total != 1)}, {len(agenda.to_do)} to run"
    if agenda.to_do:
        seconds = elapsed({key: estimates[planned.cell.id()] for key, planned in agenda.to_do.items()}, workers)
        at_once = f", {workers} cells at a time" if workers > 1 else ""
        text += f": about {duration(seconds)} on {os.cpu_count()} cores{at_once}, {_mebibytes(agenda):.1f} MiB of sets"
        peak = max((peaks.get(planned.cell.id(), 0) for planned in agenda.to_do.values()), default=0)
        text += f", at most about {peak / 2**30:.1f} GiB of memory a cell" if peak else ""
    searches = [state for state in agenda.searches if agenda.goes_on(state)]
    if searches:
        most = sum(len(state.coming) + state.further for state in searches)
        text += f"\nof these at most {most} are trials on the validation part of train, to choose {_fields(searches)}"
    return text


def _mebibytes(agenda: Agenda) -> float:
    """What the sets will take that are still to be made; cells that judge the same one with different networks share it."""
    sets = {
        key if planned.cell.evaluation_network is None else planned.cell.distillation().id(): planned
        for key, planned in agenda.to_do.items()
    }
    return sum(planned.stored_bytes for planned in sets.values()) / 2**20


def _fields(states: Sequence[State]) -> str:
    return ", ".join(
        dict.fromkeys(f"{s.search.cells[0].cell.method}.{name}" for s in states for name in s.search.fields)
    )


def choice_text(state: State) -> str:
    """What a finished search chose, in a line."""
    scores = [score for trial in state.trials if (score := trial.score()) is not None]
    failed = len(state.trials) - len(scores)
    best = f"{100 * max(scores):.1f} % on validation" if scores else "no trial gave a score"
    trials = f"{len(state.trials)} trial{'s' * (len(state.trials) > 1)}"
    trials += f", {failed} of them failed" if failed else ""
    if state.edge() is not None:
        trials += f"; this is the {state.edge()} that was tried: a larger --tune-budget looks further"
    return f"tuned {state.search.title()}: {state.search.written(state.factor())} ({best}; {trials})"
