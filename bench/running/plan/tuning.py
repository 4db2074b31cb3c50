"""The search for a method's learning rates, or a codec's quality, on the validation part of train: the next trial, the choice. Pure.

A search moves all hyper-parameters that a method names (``Method.tuned``) by one common factor. Each trial is an ordinary
cell, judged on the validation part; the search itself is read off the records of its trials, so it is resumed like any
other work. The test split has no part in it. No torch is needed.
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

OPENING = (1.0, 10.0, 0.1)
"""The factors of the first trials, which depend on no score."""

# Factors lie on a grid of eighths of a decade (a third apart): finer differences drown in the noise of a few networks.
_PER_DECADE = 8
_FARTHEST = 6 * _PER_DECADE

History = Sequence[tuple[float, float | None]]
"""Tried factors, each with its score, or None for a trial that gave none (it failed, say, because it diverged)."""


def next_factor(history: History, budget: int) -> float | None:
    """The factor to be tried next: the opening, then outwards while the best lies at an end, then between.

    Outwards goes by a decade. Between halves, on the logarithmic scale, the wider gap beside the best; of two equal ones
    the one on the side of the better neighbour. Where nothing has worked yet it goes down: what diverges needs smaller steps.

    Args:
        history: the trials so far; a score of None counts as the worst.
        budget: trials in all.

    Returns:
        None at the end of the budget, or when the best has been enclosed to a third.
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
    """The factor with the best score; of equal ones the nearest to 1, then the smaller."""

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
# Searches, and how far they are


@dataclass(frozen=True)
class Search:
    """What is tuned together: one method, dataset, budget and temporal setting.

    Attributes:
        cells: the planned cells that will take the chosen values, one for each distillation seed and network to judge with.
        fields: the hyper-parameters that are moved.
        seed: the distillation seed of all trials.
    """

    cells: tuple[PlannedCell, ...]
    fields: tuple[str, ...]
    seed: int

    def title(self) -> str:
        """What is tuned, in a line."""
        return replace(self.cells[0].cell.distillation(), seed=None).title()

    def values(self, factor: float) -> dict[str, float]:
        """The hyper-parameters at a factor; at 1 exactly the given ones, else rounded to six digits, or to whole decibels."""
        return {name: _moved(self.cells[0].cell.config[name], factor) for name in self.fields}

    def written(self, factor: float) -> str:
        """The hyper-parameters at a factor as text: ``lr=30``."""
        return ", ".join(f"{name}={value:g}" for name, value in self.values(factor).items())

    def trial(self, factor: float, registries: Registries) -> PlannedCell:
        """The cell of a trial.

        Raises:
            BenchError: the method's config refuses the values.
        """
        planned = replace(self.cells[0], cell=self.cells[0].cell.distillation())
        return variant(planned, registries, self.values(factor), self.seed, "validation")


@dataclass(frozen=True)
class Trial:
    """A trial that is over.

    Attributes:
        factor, values: what was tried.
        planned, record: its cell; None if the method's config refused the values.
        reason: why there is no score, or "".
    """

    factor: float
    values: Mapping[str, float]
    planned: PlannedCell | None
    record: Record | None
    reason: str

    def score(self) -> float | None:
        """Mean validation accuracy over the protocol's networks, or None if the trial gave none."""
        if self.record is None or self.record.status != "ok" or not self.record.evaluations:
            return None
        return sum(evaluation.accuracy() for evaluation in self.record.evaluations) / len(self.record.evaluations)

    def seconds(self) -> float:
        """Wall seconds of all its phases, without what other cells made for it."""
        costs = self.record.costs.values() if self.record is not None else ()
        return sum(cost.wall_seconds for cost in costs if not cost.shared)


@dataclass(frozen=True)
class State:
    """How far a search is.

    Attributes:
        search, budget: what it is and how many trials it may have.
        trials: those that are over, in their order.
        coming: those to be run now; none once the search is over.
        further: how many may follow them.
    """

    search: Search
    budget: int
    trials: tuple[Trial, ...]
    coming: tuple[tuple[float, PlannedCell], ...]
    further: int

    def factor(self) -> float:
        """The best factor so far; 1 if nothing gave a score."""
        return best_factor([(trial.factor, trial.score()) for trial in self.trials])

    def tuned_cells(self, registries: Registries) -> dict[str, PlannedCell]:
        """The cells with the best values so far, by the ids that they had with the given ones."""
        values = self.search.values(self.factor())
        return {
            planned.cell.id(): variant(planned, registries, values, planned.cell.seed, planned.cell.judged_on)
            for planned in self.search.cells
        }

    def report(self) -> dict[str, Any]:
        """For the record: every trial, and what was chosen. Plain JSON."""
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
        """What all trials took together, ``shared`` if several cells use the choice."""
        records = [trial.record for trial in self.trials if trial.record is not None]
        return replace(charged([record.costs for record in records]), shared=len(self.search.cells) > 1)


def _moved(value: Value, factor: float) -> float:
    if isinstance(value, int):  # decibels
        return value + round(20 * math.log10(factor))
    given = float(value or 0.0)
    return given if factor == 1 else float(f"{given * factor:.6g}")


def searches(cells: Sequence[PlannedCell], registries: Registries, seed: int) -> list[Search]:
    """The searches of a plan: one for all seeds and networks of each cell whose method can be tuned and does not decline.

    The network of the profile, which distils, is also the one that judges trials.

    Args:
        cells: the plan.
        registries: all parts.
        seed: the distillation seed of the trials.

    Raises:
        BenchError: nothing in the plan can be tuned, or a value to be scaled is no positive number.
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
    of_plan = []
    for group in together.values():
        fields = registries.methods.get(group[0].cell.method).tuned
        for name in fields:
            value = group[0].cell.config.get(name)
            if not isinstance(value, int | float) or (isinstance(value, float) and value <= 0):
                raise BenchError(f"--tune: {group[0].cell.method}.{name}={value} is not a positive number to be scaled")
        if able := tuple(planned for planned in group if planned.declined is None):
            of_plan.append(Search(able, fields, seed))
    return of_plan


def replay(search: Search, budget: int, registries: Registries, read: Callable[[str], Record | None]) -> State:
    """How far a search is, read off the records of its trials.

    Args:
        search, budget: what is tuned, and the trials that it may have.
        registries: all parts.
        read: the record of a trial by its cell's id; None if the trial is still to be run.
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
    """The record with what its tuning chose and took."""
    return replace(record, costs={**record.costs, "tune": state.cost()}, tuning=state.report())


def charged(costs: Sequence[Mapping[str, PhaseCost]]) -> PhaseCost:
    """Several cells' phases as one cost (`total`), not shared.

    What came from the cache is charged once, at its dearest, unless one of the cells made it.

    Args:
        costs: by phase, of each cell.
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
