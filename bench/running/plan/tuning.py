"""Searches a method's learning rates, or a codec's quality, on the validation part of train: what to try next, what to choose.

A search scales all hyper-parameters that a method names (``Method.tuned``) by one common factor. Each trial is an ordinary
cell, judged on the validation part. The state of a search follows from the records of its trials, so it resumes like any
other work. The test split plays no part. Functions are pure; no torch is needed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.core.config import Value
from bench.core.errors import BenchError
from bench.plugins import Registries
from bench.results.records import PhaseCost, Record, total
from bench.running.plan.plan import PlannedCell, variant
from bench.running.plan.planned_dataset import check_tested

OPENING = (1.0, 10.0, 0.1)
"""The factors of the first trials, which depend on no score."""

# Factors are on a grid of eighths of a decade (a third apart). Finer differences would drown in the noise of a few networks.
_PER_DECADE = 8
_FARTHEST = 6 * _PER_DECADE

History = Sequence[tuple[float, float | None]]
"""Tried factors with their scores. The score is None if the trial has none, because it diverged for example."""


def next_factor(history: History, budget: int) -> float | None:
    """The next factor to try.

    First come those of `OPENING`. While the best factor is the highest or lowest one so far, the next is a decade further out.
    After that, the next halves the wider gap next to the best, on a logarithmic scale. If both gaps are equal, it takes the
    one with the better neighbour. If no trial has a score yet, the next is smaller, because diverging needs smaller steps.

    Args:
        history: the trials so far; a score of None counts as the worst.
        budget: how many trials there may be in all.

    Returns:
        None if the budget is used up, or if the neighbours of the best factor are both within a third of it.
    """
    if len(history) >= budget:
        return None
    tried = {_position(factor): _worth(score) for factor, score in history}
    for factor in OPENING:
        if _position(factor) not in tried:
            return factor
    lowest, highest = min(tried), max(tried)
    if all(score is None for _, score in history):
        return _factor(lowest - _PER_DECADE) if lowest > -_FARTHEST else None
    best = _position(best_factor(history))
    if best == highest < _FARTHEST:
        return _factor(best + _PER_DECADE)
    if best == lowest > -_FARTHEST:
        return _factor(best - _PER_DECADE)
    below = max((place for place in tried if place < best), default=best)
    above = min((place for place in tried if place > best), default=best)
    gap, _, _, side = max((abs(side - best), tried[side], -side, side) for side in (below, above))
    return _factor((best + side) // 2) if gap > 1 else None


def best_factor(history: History) -> float:
    """The factor with the best score. If scores are equal, it is the one nearest to 1, then the smaller one."""

    def rank(trial: tuple[float, float | None]) -> tuple[float, int, int]:
        place = _position(trial[0])
        return _worth(trial[1]), -abs(place), -place

    return max(history, key=rank)[0]


def _position(factor: float) -> int:
    return round(_PER_DECADE * math.log10(factor))


def _factor(position: int) -> float:
    return float(f"{10 ** (position / _PER_DECADE):.3g}")


def _worth(score: float | None) -> float:
    return -math.inf if score is None or math.isnan(score) else score


# ----------------------------------------------------------------------------------------------------------------------
# Searches and their progress


@dataclass(frozen=True)
class Search:
    """The cells that are tuned together: one method, dataset, budget and temporal setting.

    Attributes:
        cells: the planned cells that will get the chosen values, one for each distillation seed and judging network.
        fields: the hyper-parameters to scale.
        seed: the distillation seed of all trials.
    """

    cells: tuple[PlannedCell, ...]
    fields: tuple[str, ...]
    seed: int

    def title(self) -> str:
        """Says in one line what is tuned."""
        return replace(self.cells[0].cell.distillation(), seed=None).title(self.cells[0].written)

    def values(self, factor: float) -> dict[str, float]:
        """The scaled hyper-parameters, rounded to six digits or whole decibels. Factor 1 leaves them exactly as they are."""
        return {name: _scaled(self.cells[0].cell.config[name], factor) for name in self.fields}

    def written(self, factor: float) -> str:
        """The scaled hyper-parameters as text: ``lr=30``."""
        return ", ".join(f"{name}={value:g}" for name, value in self.values(factor).items())

    def trial(self, factor: float, registries: Registries) -> PlannedCell:
        """The cell of a trial, without probes: they say nothing of which rate is best.

        Raises:
            BenchError: the method's config refuses the values.
        """
        planned = replace(self.cells[0], cell=self.cells[0].cell.distillation())
        trial = variant(planned, registries, self.values(factor), self.seed, "validation", probes=False)
        return replace(trial, trial=self.written(factor))


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        factor, values: what was tried.
        planned, record: the cell; None if the method's config refused the values.
        reason: why there is no score, or "".
    """

    factor: float
    values: Mapping[str, float]
    planned: PlannedCell | None
    record: Record | None
    reason: str

    def score(self) -> float | None:
        """The mean validation accuracy over the protocol's networks; None if the trial did not succeed."""
        if self.record is None or self.record.status != "ok" or not self.record.evaluations:
            return None
        return sum(evaluation.accuracy() for evaluation in self.record.evaluations) / len(self.record.evaluations)

    def seconds(self) -> float:
        """Wall-clock seconds of all its phases, except for what other cells made and it reused."""
        costs = self.record.costs.values() if self.record is not None else ()
        return sum(cost.wall_seconds for cost in costs if not cost.shared)


@dataclass(frozen=True)
class State:
    """The progress of a search.

    Attributes:
        search, budget: the search, and how many trials it may have.
        trials: the finished trials, in order.
        coming: the trials to run now; empty once the search is over.
        further: how many more may follow.
    """

    search: Search
    budget: int
    trials: tuple[Trial, ...]
    coming: tuple[tuple[float, PlannedCell], ...]
    further: int

    def factor(self) -> float:
        """The best factor so far; 1 if no trial has a score."""
        return best_factor([(trial.factor, trial.score()) for trial in self.trials])

    def edge(self) -> str | None:
        """``smallest`` or ``largest`` if the best factor is that of all that were tried: a better one may lie beyond it."""
        tried = [trial.factor for trial in self.trials if trial.score() is not None]
        if not tried:
            return None
        best = self.factor()
        return "smallest" if best == min(tried) else "largest" if best == max(tried) else None

    def tuned_cells(self, registries: Registries) -> dict[str, PlannedCell]:
        """The cells with the best values so far, by the ids of the cells with the original values."""
        values = self.search.values(self.factor())
        return {
            planned.cell.id(): variant(planned, registries, values, planned.cell.seed, planned.cell.judged_on)
            for planned in self.search.cells
        }

    def report(self) -> dict[str, Any]:
        """Every trial and the choice, as plain JSON for the record."""
        return {
            "fields": list(self.search.fields),
            "judged_on": "validation",
            "seed": self.search.seed,
            "budget": self.budget,
            "trials": [
                {
                    "factor": trial.factor,
                    "values": dict(trial.values),
                    "accuracy": trial.score(),
                    "seconds": trial.seconds(),
                    "status": "refused" if trial.record is None else trial.record.status,
                    "reason": trial.reason,
                    "cell": None if trial.planned is None else trial.planned.cell.id(),
                }
                for trial in self.trials
            ],
            "chosen": {"factor": self.factor(), "values": self.search.values(self.factor())},
        }

    def cost(self) -> PhaseCost:
        """The cost of all trials together. It is ``shared`` if several cells use the chosen values."""
        records = [trial.record for trial in self.trials if trial.record is not None]
        return replace(charged([record.costs for record in records]), shared=len(self.search.cells) > 1)


def _scaled(value: Value, factor: float) -> float:
    if isinstance(value, int):  # decibels
        return value + round(20 * math.log10(factor))
    original = float(value or 0.0)
    return original if factor == 1 else float(f"{original * factor:.6g}")


def searches(cells: Sequence[PlannedCell], registries: Registries, seed: int) -> list[Search]:
    """The searches of a plan. Cells that differ only in seed and judging network share one.

    There are none for methods that cannot be tuned, or that decline. The profile's network, which distils, also judges the
    trials.

    Args:
        cells: the plan.
        registries: all parts.
        seed: the distillation seed of the trials.

    Raises:
        BenchError: nothing in the plan can be tuned, no clip can be held out, or a value to scale is not a positive number.
    """
    together: defaultdict[str, list[PlannedCell]] = defaultdict(list)
    for planned in cells:
        if registries.methods.get(planned.cell.method).tuned:
            together[replace(planned.cell.distillation(), seed=None).id()].append(planned)
    if not together:
        raise BenchError(
            f"--tune: nothing to tune in {', '.join(dict.fromkeys(planned.cell.method for planned in cells))} "
            f"(valid: {', '.join(name for name, method in registries.methods if method.tuned)})"
        )
    for planned in {id(planned.index): planned for planned in cells}.values():
        check_tested(planned.index, "validation")
    of_plan = []
    for group in together.values():
        able = tuple(planned for planned in group if planned.declined is None and planned.fault is None)
        if not able:
            continue
        fields = registries.methods.get(group[0].cell.method).tuned
        for name in fields:
            value = able[0].cell.config.get(name)
            if not isinstance(value, int | float) or (isinstance(value, float) and value <= 0):
                raise BenchError(f"--tune: {able[0].cell.method}.{name}={value} is not a positive number to be scaled")
        of_plan.append(Search(able, fields, seed))
    return of_plan


def replay(search: Search, budget: int, registries: Registries, read: Callable[[str], Record | None]) -> State:
    """The progress of a search, worked out from the records of its trials.

    Args:
        search, budget: the search, and how many trials it may have.
        registries: all parts.
        read: returns the record of a trial by its cell's id, or None if the trial has not run yet.
    """
    trials: list[Trial] = []
    coming: list[tuple[float, PlannedCell]] = []
    factors: tuple[float, ...] = OPENING[:budget]  # these may run side by side
    while factors and not coming:
        for factor in factors:
            values = search.values(factor)
            try:
                planned = search.trial(factor, registries)
            except BenchError as error:
                trials.append(Trial(factor, values, None, None, str(error)))
                continue
            record = read(planned.cell.id())
            if record is None:
                coming.append((factor, planned))
            else:
                trials.append(Trial(factor, values, planned, record, record.reason))
        following = next_factor([(trial.factor, trial.score()) for trial in trials], budget)
        factors = () if following is None else (following,)
    further = budget - len(trials) - len(coming) if coming else 0
    return State(search, budget, tuple(trials), tuple(coming), further)


def attached(record: Record, state: State) -> Record:
    """The record with the report and cost of its tuning."""
    return replace(record, costs={**record.costs, "tune": state.cost()}, tuning=state.report())


def charged(costs: Sequence[Mapping[str, PhaseCost]]) -> PhaseCost:
    """Combines the costs of several cells into one (`total`), which is not shared.

    If all cells took a phase's result from the cache, its highest cost is charged, once. If some cells made it themselves, only
    their costs are.

    Args:
        costs: the costs of each cell, by phase.
    """
    by_phase: defaultdict[str, list[PhaseCost]] = defaultdict(list)
    for phases in costs:
        for phase, cost in phases.items():
            by_phase[phase].append(cost)
    parts: list[PhaseCost] = []
    for of_phase in by_phase.values():
        own = [cost for cost in of_phase if not cost.shared]
        parts += own or [max(of_phase, key=lambda cost: cost.wall_seconds)]
    return replace(total(parts), shared=False)
