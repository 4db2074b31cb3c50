"""From the records of one row to its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import final

from bench.api import Evaluation
from bench.core.config import Value
from bench.results.history import Objective, objective
from bench.results.records import PhaseCost, Record
from bench.tables import stats
from bench.tables.ddranking import RelativeScores, relative_scores
from bench.tables.leaks import Leaks, accuracy_without
from bench.tables.published import Reported
from bench.tables.rows import Extent, Figures
from bench.tables.states import State
from bench.tables.stats import Estimator, Interval, Trainings


@final
@dataclass(frozen=True)
class Context:
    """What all leaderboards of a call share: the arguments of `bench.tables.leaderboard.leaderboards`."""

    baseline: str
    published: tuple[Reported, ...]
    estimator: Estimator
    leaks: Leaks
    all_versions: bool = False


@final
@dataclass(frozen=True)
class Variant:
    """The records of one future row: a method in one configuration and state of its code, by seed."""

    method: str
    config: Mapping[str, Value]
    state: State
    reference: bool
    by_seed: Mapping[int | None, Record]

    def ok(self) -> dict[int | None, Record]:
        """The finished cells that hold figures, in the order of their seeds."""
        return {seed: record for seed, record in self.by_seed.items() if record.status == "ok" and record.evaluations}

    def start(self) -> tuple[str, Mapping[str, Value]] | None:
        """The method and hyper-parameters of the set that these sets were learned from, as their records say; None if none."""
        starts = [record.data["start"] for record in self.ok().values() if "start" in record.data]
        if not starts:
            return None
        storage = {"storage": self.config["storage"]} if "storage" in self.config else {}
        return starts[-1]["method"], {**starts[-1]["config"], **storage}

    def soft_labels(self) -> bool:
        """Whether its sets store labels of their own."""
        sets = [record.set for record in self.ok().values()]
        return any(made is not None and made.labels() is not None for made in sets)


@final
@dataclass(frozen=True)
class Design:
    """The trainings that each row of a leaderboard should have: every seed that any row was asked for, every network.

    Seeds that `--resolve` added to one row are not asked of others.
    """

    seeds: tuple[int, ...]
    networks: tuple[int, ...]

    def asked(self, variant: Variant) -> tuple[int | None, ...]:
        """The seeds of a row: None alone where nothing is random."""
        if None in variant.by_seed:
            return (None,)
        return tuple(sorted({*self.seeds, *(seed for seed in variant.by_seed if seed is not None)}))


@final
@dataclass(frozen=True)
class Candidate:
    """A future row with its accuracies, and what is missing of it, one sentence for each reason."""

    variant: Variant
    label: str
    accuracies: Trainings
    holes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether no training is missing."""
        return not self.holes


@final
@dataclass(frozen=True)
class Compared:
    """The rows that a row is compared with; None where there is no such row, or more than one could be it.

    Attributes:
        full: the full data.
        base: the baseline of gains.
        start: the set that the row was learned from.
    """

    full: Candidate | None
    base: Candidate | None
    start: Candidate | None


def figures_of(candidate: Candidate, design: Design, compared: Compared, context: Context) -> Figures:
    """Every figure of a row but its rank and what papers report.

    Args:
        candidate: the row; one of its cells is finished.
        design: the trainings that it should have.
        compared: the rows beside it.
        context: what all leaderboards share.
    """
    records, complete, accuracies = list(candidate.variant.ok().values()), candidate.complete, candidate.accuracies
    counted_top5 = complete and all(e.top5 is not None for record in records for e in record.evaluations)
    accuracy = context.estimator(_matrix(accuracies)) if complete else None
    full = stats.grand_mean(compared.full.accuracies) if compared.full is not None else None
    costs = [cost for record in records for cost in record.costs.values()]
    distil, upstream, tune = (_costs(records, phase) for phase in ("distil", "upstream", "tune"))
    return Figures(
        seeds=len(design.asked(candidate.variant)),
        networks=len(design.networks),
        trainings=sum(map(len, accuracies.values())),
        accuracy=accuracy,
        top5=context.estimator(_matrix(trainings(records, _top5_share))) if counted_top5 else None,
        share=accuracy.mean / full if accuracy is not None and full else None,
        gain=_gain(candidate, compared.base, context.estimator),
        own_gain=_gain(candidate, compared.start, context.estimator),
        stored=_extent([record.set.storage_bytes for record in records if record.set is not None]),
        stored_fp32=_extent([record.set.storage_bytes_fp32 for record in records if record.set is not None]),
        distil_seconds=_average([cost.wall_seconds for cost in distil]) if complete else None,
        upstream_seconds=_average([cost.wall_seconds for cost in upstream]) if complete else None,
        upstream_shared=any(cost.shared for cost in upstream),
        tune_seconds=_average([cost.wall_seconds for cost in tune]) if complete else None,
        tune_shared=any(cost.shared for cost in tune),
        peak_device=max((cost.peak_device_bytes for cost in costs), default=0),
        peak_host=max((cost.peak_host_bytes for cost in costs), default=0),
        unfit=sum(not evaluation.fitted for record in records for evaluation in record.evaluations),
        objective=_objective(records) if complete else None,
        relative=_relative(candidate, accuracy, full, compared.base),
        without_leaks=_without_leaks(records, context) if complete else None,
        inflation=_mean_inflation(records) if complete else None,
        left_out=_leaked(records, context.leaks),
    )


def _objective(records: Sequence[Record]) -> Objective | None:
    """The mean over the seeds; None where a set was learned segment by segment, each with a loss of its own."""
    found = [objective(record.history) for record in records if "-k1-" in record.cell.setting]
    known = [each for each in found if each is not None]
    if not known or len(known) < len(records):
        return None
    return Objective(fmean(each.before for each in known), fmean(each.after for each in known))


def trainings(records: Iterable[Record], figure: Callable[[Evaluation], float]) -> Trainings:
    """A figure of each evaluation, by distillation seed and network."""
    return {r.cell.seed: {evaluation.network: figure(evaluation) for evaluation in r.evaluations} for r in records}


def _gain(candidate: Candidate, other: Candidate | None, estimator: Estimator) -> Interval | None:
    """Accuracy minus that of another row, paired."""
    if other is None or other is candidate or not (candidate.complete and other.complete):
        return None
    paired = stats.differences(candidate.accuracies, other.accuracies)
    return None if paired is None else estimator(paired)


def _costs(records: Sequence[Record], phase: str) -> list[PhaseCost]:
    return [record.costs[phase] for record in records if phase in record.costs]


def _mean_inflation(records: Sequence[Record]) -> float | None:
    """None where a record lacks accuracies at checkpoints."""
    return _average([_inflation(record) for record in records]) if all(map(_has_checkpoints, records)) else None


def _has_checkpoints(record: Record) -> bool:
    counts = {len(evaluation.checkpoints) for evaluation in record.evaluations}
    return len(counts) == 1 and counts != {0}


def _inflation(record: Record) -> float:
    """Best mean accuracy over the networks at a checkpoint minus that at the last one."""
    points = range(len(record.evaluations[0].checkpoints))
    correct = [sum(evaluation.checkpoints[point] for evaluation in record.evaluations) for point in points]
    tested = sum(evaluation.tested() for evaluation in record.evaluations)
    return (max(correct) - correct[-1]) / max(1, tested)


def _leaked(records: Sequence[Record], leaks: Leaks) -> int | None:
    """How many test clips are leaked; None where that is not known, or the records do not agree."""
    masks = [leaks.clean(record) for record in records]
    counts = {len(mask) - sum(mask) for mask in masks if mask is not None}
    return counts.pop() if len(counts) == 1 and None not in masks else None


def _without_leaks(records: Sequence[Record], context: Context) -> Interval | None:
    """Accuracy on the test clips that are no leaks, where it is known of every training."""
    accuracies: dict[int | None, dict[int, float]] = {}
    for record in records:
        clean_clips = context.leaks.clean(record)
        for evaluation in record.evaluations:
            accuracy = None if clean_clips is None else accuracy_without(evaluation, clean_clips)
            if accuracy is None:
                return None
            accuracies.setdefault(record.cell.seed, {})[evaluation.network] = accuracy
    return context.estimator(_matrix(accuracies))


def _relative(
    candidate: Candidate, accuracy: Interval | None, full: float | None, base: Candidate | None
) -> RelativeScores | None:
    if accuracy is None or full is None or base is None:
        return None
    if candidate.variant.reference or candidate.variant.soft_labels():
        return None
    return relative_scores(accuracy.mean, full, stats.grand_mean(base.accuracies))


def _matrix(values: Trainings) -> list[list[float]]:
    return [[value for _, value in sorted(by_network.items())] for by_network in values.values()]


def _top5_share(evaluation: Evaluation) -> float:
    return (evaluation.top5 or 0) / max(1, evaluation.tested())


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _extent(values: Sequence[int]) -> Extent | None:
    return Extent(min(values), max(values)) if values else None
