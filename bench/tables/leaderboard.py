"""From records to leaderboards: what is compared with what, and every figure of every row. Pure: no files, no formatting."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.api import Evaluation
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.files import canonical_json
from bench.core.storage import PLAIN
from bench.core.temporal import parse, presets
from bench.core.text import written as written_bytes
from bench.results.cells import Cell
from bench.results.records import Record
from bench.tables import stats
from bench.tables.comparisons import PairedTest, compare, untestable
from bench.tables.ddranking import RelativeScores, relative_scores
from bench.tables.leaks import UNKNOWN, Leaks, accuracy_without
from bench.tables.published import Reported, beside
from bench.tables.stats import ENOUGH_SEEDS, Estimator, Interval, Trainings

Column = Literal[
    "accuracy",
    "top5",
    "without_leaks",
    "inflation",
    "share",
    "gain",
    "reported",
    "ddranking",
    "stored",
    "upstream",
    "tune",
    "memory",
    "unfit",
]

MISSING = "missing"
PARTIAL = "partial"

UNFIT = "networks that did not fit the set they were trained on; their test figure says nothing about the set"
TOO_FEW = f"no interval: it takes two networks, or {ENOUGH_SEEDS} distillation seeds"
SEEDS_ONLY = (
    "95 % interval over distillation seeds only (one network trained on each set): it does not speak of other networks"
)
NETWORKS_ONLY = (
    f"95 % interval over trained networks only (fewer than {ENOUGH_SEEDS} distillation seeds): "
    "it speaks of new networks, not of a new distillation"
)
SOFT = "no HLR, IOR and LRS: they are defined for hard labels, and this set stores its own"
SHARED = "made once and used by several cells; these are the seconds of making it"
TUNED_TOGETHER = "one search for all distillation seeds; these are the seconds of all its trials"
PROTOCOL_REMARKS = {
    "wang2024": "protocol of the published code: random windows and flips at test, three passes pooled, each batch standardised "
    "by itself; to be set beside published figures, not against other protocols"
}
HOST = "resident memory of the process (no GPU was used)"


@dataclass(frozen=True)
class Group:
    """What figures must have in common to be compared at all.

    ``network`` is the one that is trained on the sets, ``distilled_with`` the one that methods distilled them with.
    """

    dataset: str
    fingerprint: str
    profile: str
    network: str
    geometry: tuple[tuple[str, int], ...]
    protocol: str
    judged_on: str
    distilled_with: str

    def judge(self) -> str:
        """The network that is trained on the sets and, where they were distilled with another one, which."""
        return self.network + (f" (distilled with {self.distilled_with})" if self.crosses() else "")

    def crosses(self) -> bool:
        """Whether the sets were distilled with another network."""
        return self.network != self.distilled_with

    def frames(self) -> int:
        """T, the frames of a clip; 0 if the geometry does not say."""
        return dict(self.geometry).get("frames", 0)


@dataclass(frozen=True)
class Note:
    """A footnote to one figure of a row."""

    column: Column
    text: str


@dataclass(frozen=True)
class Extent:
    """Smallest and largest value over the seeds, in bytes."""

    low: int
    high: int


@dataclass(frozen=True)
class Figures:
    """What the finished cells of a row came to.

    Attributes:
        seeds, networks: distillation seeds (1 where nothing is random) and networks trained on each set, where none is missing.
        trainings: evaluations that there are; ``seeds * networks`` where none is missing.
        accuracy, top5: shares of test clips in [0, 1]. No mean is taken over a part of the seeds or networks: None where any
            is missing, top-5 also where it was not counted.
        rank: 1 + the number of methods that are significantly better, or None where there was no test.
        tied: whether it is the best mean or not distinguishable from it, by the same tests.
        share: accuracy divided by that of the reference, or None.
        gain: accuracy minus that of the baseline, paired by seed and network, or None.
        relative: the scores of DD-Ranking, or None.
        reported: a published figure for the same method, data, budget and network, or None.
        without_leaks: accuracy on the test clips that did not leak into train, or None where it is not known.
        left_out: how many test clips are leaked, or None where it is not known.
        inflation: what choosing the best checkpoint of the trained networks on the test clips would add to the accuracy: the
            best mean over the networks minus the last, averaged over the seeds; None where only the end was tested.
        stored, stored_fp32: bytes of the set as stored, and at four bytes a number.
        distil_seconds, upstream_seconds: wall time, mean over the seeds; None where a seed is missing or there was no such phase.
        upstream_shared: whether the upstream result serves several cells.
        tune_seconds, tune_shared: the same of the search for its hyper-parameters.
        peak_device, peak_host: most bytes over all phases and seeds; 0 without a GPU.
        unfit: trained networks that did not fit their set.
    """

    seeds: int
    networks: int
    trainings: int
    accuracy: Interval | None
    top5: Interval | None
    share: float | None
    gain: Interval | None
    stored: Extent | None
    stored_fp32: Extent | None
    distil_seconds: float | None
    upstream_seconds: float | None
    upstream_shared: bool
    tune_seconds: float | None
    tune_shared: bool
    peak_device: int
    peak_host: int
    unfit: int
    rank: int | None = None
    tied: bool = False
    relative: RelativeScores | None = None
    reported: Reported | None = None
    without_leaks: Interval | None = None
    left_out: int | None = None
    inflation: float | None = None

    @property
    def complete(self) -> bool:
        """Whether no training is missing."""
        return self.trainings == self.seeds * self.networks

    @property
    def deviation(self) -> float | None:
        """Measured minus reported, both by the reported metric."""
        if self.reported is None:
            return None
        measured = self.top5 if self.reported.metric == "top5" else self.accuracy
        return None if measured is None else measured.mean - self.reported.mean


@dataclass(frozen=True)
class Row:
    """One method in one configuration.

    Attributes:
        method, config, source: as in `Cell`; config and source are None for a method without any record here. The config
            of a set under a storage codec names it, as ``storage``.
        label: the name, with what tells it from other rows of the same method.
        reference: whether it does not depend on the budget (``full``): one figure for every IPC.
        status: ``ok`` if every cell is finished, ``partial`` if some are, else how they ended, or ``missing``.
        figures: None unless ``ok`` or ``partial``.
        notes: footnotes.
        cells: the finished cells behind the figures, in the order of their seeds.
    """

    method: str
    label: str
    config: Mapping[str, Value] | None
    source: str | None
    reference: bool
    status: str
    figures: Figures | None
    notes: tuple[Note, ...]
    cells: tuple[Record, ...]


@dataclass(frozen=True)
class Leaderboard:
    """Rows that may be compared.

    Attributes:
        group, ipc, setting: what all rows have in common; ipc is None if no row has one, the setting is written out.
        title: a line that no other leaderboard of the same call has.
        baseline: the method that gains are over.
        chance: accuracy of guessing, or None if no cell is finished.
        majority: accuracy of always answering the largest class of the test clips, or None.
        rows: the reference first, then by accuracy, partial rows, holes.
        tests: of every pair of complete rows but the reference, by their places in ``rows``; empty where none was possible.
        remarks: footnotes to the whole table, one sentence each.
        budget: bytes that each set may take, where these and not IPC are the budget.
    """

    group: Group
    ipc: int | None
    setting: str
    title: str
    baseline: str
    chance: float | None
    majority: float | None
    rows: tuple[Row, ...]
    tests: tuple[PairedTest, ...]
    remarks: tuple[str, ...]
    budget: int | None = None

    def amount(self) -> str:
        """How much each row may store."""
        return _amount(self.ipc, self.budget)


def leaderboards(
    records: Iterable[Record],
    baseline: str = "random",
    published: Sequence[Reported] = (),
    estimator: Estimator = stats.interval,
    leaks: Leaks | None = None,
) -> list[Leaderboard]:
    """All leaderboards, in a fixed order that does not depend on the order of the records.

    A cell without a budget (IPC None) serves every budget and every setting, and is a row in all of its group.

    Args:
        records: of any cells; a cell that occurs twice counts once.
        baseline: the method that gains are over.
        published: figures of papers, to stand beside the measured ones.
        estimator: makes the intervals.
        leaks: which test clips leaked into train, for the accuracy without them.
    """
    context = _Context(baseline, tuple(published), estimator, leaks or Leaks())
    groups: defaultdict[Group, list[Record]] = defaultdict(list)
    for _, record in sorted({record.id: record for record in records}.items()):
        groups[_group(record)].append(record)
    boards = [
        board
        for group, members in sorted(groups.items(), key=lambda item: _group_order(item[0]))
        for board in _boards(group, members, context)
    ]
    return _with_distinct_titles(boards)


@functools.lru_cache(maxsize=1024)
def setting_label(written: str, frames: int) -> str:
    """The preset's name of a temporal setting that is written out, else the setting as it is."""
    try:
        return parse(written, frames).label(frames)
    except BenchError:
        return written


# ----------------------------------------------------------------------------------------------------------------------
# Which records belong together


def _group(record: Record) -> Group:
    """What the record's figures must share with others to be compared with them."""
    cell = record.cell
    geometry = tuple(sorted(cell.geometry.items()))
    return Group(
        cell.dataset, cell.fingerprint, cell.profile, cell.computed(cell.judge()), geometry, cell.protocol, cell.judged_on,
        cell.computed(cell.network),
    )  # fmt: skip


def _group_order(group: Group) -> tuple[Any, ...]:
    """By dataset and profile; there the network that distilled comes before the others."""
    first = (group.dataset, group.fingerprint, group.profile, group.distilled_with, group.crosses())
    return first, (group.network, group.protocol, group.judged_on), group.geometry


_Place = tuple[str, int | None, int | None]
"""Setting, IPC, bytes; no IPC where bytes are the budget, and neither where there is no budget at all."""


def _place(cell: Cell) -> _Place:
    return cell.setting, cell.ipc if cell.budget is None else None, cell.budget


def _boards_of(group: Group, records: Sequence[Record]) -> list[_Place]:
    every = {_place(record.cell) for record in records}
    boards = {place for place in every if place[1:] != (None, None)} or every
    names = [str(setting) for setting in presets(group.frames()).values()]
    order = {name: place for place, name in enumerate(names)}
    return sorted(
        boards, key=lambda place: (order.get(place[0], len(order)), place[0], place[2] or 0, place[1] or 0)
    )  # fmt: skip


def _with_distinct_titles(boards: Sequence[Leaderboard]) -> list[Leaderboard]:
    """Adds geometry and fingerprint to titles that would otherwise occur twice."""
    times = Counter(board.title for board in boards)
    titled = []
    for board in boards:
        title = board.title
        if times[title] > 1:
            geometry = ", ".join(f"{name} {value}" for name, value in board.group.geometry)
            title += f" · {geometry} · data {board.group.fingerprint[:12]}"
        titled.append(dataclasses.replace(board, title=title))
    return titled


def _amount(ipc: int | None, budget: int | None) -> str:
    if budget is not None:
        return written_bytes(budget)
    return "any IPC" if ipc is None else f"IPC {ipc}"


def _title(group: Group, amount: str, setting: str) -> str:
    parts = [
        group.dataset,
        amount,
        setting_label(setting, group.frames()),
        group.profile,
        group.protocol,
        group.judge(),
    ]
    parts += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    return " · ".join(parts)


# ----------------------------------------------------------------------------------------------------------------------
# One leaderboard


@dataclass(frozen=True)
class _Context:
    """What all leaderboards of a call share; see `leaderboards`."""

    baseline: str
    published: tuple[Reported, ...]
    estimator: Estimator
    leaks: Leaks


@dataclass(frozen=True)
class _Variant:
    """The records of one future row: a method in one configuration and source, by seed."""

    method: str
    config: Mapping[str, Value]
    source: str
    reference: bool
    by_seed: Mapping[int | None, Record]

    def ok(self) -> dict[int | None, Record]:
        """The finished cells that hold figures, in the order of their seeds."""
        return {seed: record for seed, record in self.by_seed.items() if record.status == "ok" and record.evaluations}


@dataclass(frozen=True)
class _Design:
    """The trainings that each row of a leaderboard should have: every seed that any row was asked for, every network."""

    seeds: tuple[int, ...]
    networks: tuple[int, ...]

    def asked(self, variant: _Variant) -> tuple[int | None, ...]:
        """The seeds of a row: None alone where nothing is random."""
        return (None,) if None in variant.by_seed else self.seeds


@dataclass(frozen=True)
class _Entry:
    """A future row with its accuracies, and what is missing of it, one sentence for each reason."""

    variant: _Variant
    label: str
    accuracies: Trainings
    holes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.holes


def _boards(group: Group, members: Sequence[Record], context: _Context) -> list[Leaderboard]:
    """The leaderboards of a group; records without a budget are in all of them."""
    by_place: defaultdict[_Place, list[Record]] = defaultdict(list)
    methods: defaultdict[tuple[str, bool], set[str]] = defaultdict(set)  # clips and bytes are budgets of their own
    shared = [record for record in members if record.cell.ipc is None]
    for record in members:
        cell = record.cell
        if cell.ipc is not None:
            by_place[_place(cell)].append(record)
            methods[cell.setting, cell.budget is None].add(cell.method)
    return [
        _board(group, place, [*by_place[place], *shared], methods[place[0], place[2] is None], context)
        for place in _boards_of(group, members)
    ]


def _board(group: Group, place: _Place, here: Sequence[Record], methods: set[str], context: _Context) -> Leaderboard:
    """One leaderboard of its records; a method that has records of this setting, but none of this budget, is missing."""
    setting, ipc, budget = place
    variants, superseded = _without_superseded(_variants(here))
    finished = [record for variant in variants for record in variant.ok().values()]
    design = _Design(
        tuple(sorted({seed for variant in variants for seed in variant.by_seed if seed is not None})),
        tuple(sorted({evaluation.network for record in finished for evaluation in record.evaluations})),
    )
    entries = [
        _Entry(v, label, _trainings(v.ok().values(), Evaluation.accuracy), tuple(_holes(v, design)))
        for v, label in zip(variants, _labels(variants), strict=True)
    ]
    references = _whole_data(entries)
    baselines = [entry for entry in entries if entry.variant.method == context.baseline and entry.complete]
    reference = references[0] if len(references) == 1 else None
    base = baselines[0] if len(baselines) == 1 else None
    rows = [(_row(entry, design, reference, base, context), entry) for entry in entries]
    rows.sort(key=lambda pair: _order(pair[0]))
    ranked, tests, untested = _ranked(rows)
    missing = [_missing_row(name) for name in methods - {r.cell.method for r in here}]
    published = context.published if budget is None else ()  # papers report IPC
    ranked = _with_published(sorted([*ranked, *missing], key=_order), group, ipc, setting, published)
    chance, majority = _trivial(finished)
    remarks = [
        *_about_comparison("share of the full data", "a method without budget (such as full)", len(references)),
        *_about_comparison(f"gain over {context.baseline}", context.baseline, len(baselines)),
        *untested,
        *_about_published(ranked, group),
        *superseded,
        *_about_trivial(finished, chance, majority),
        *_about_protocol(group),
        *_about_left_out(here),
        *_about_leaks(finished, context.leaks),
        *_disagreements(here),
        *dict.fromkeys(str(note) for record in here for note in record.data.get("notes", [])),
    ]
    title = _title(group, _amount(ipc, budget), setting)
    return Leaderboard(
        group, ipc, setting, title, context.baseline, chance, majority, tuple(ranked), tests, tuple(remarks), budget
    )  # fmt: skip


def _ranked(rows: Sequence[tuple[Row, _Entry]]) -> tuple[list[Row], tuple[PairedTest, ...], list[str]]:
    """The rows with their ranks, the tests that gave them, and a remark where there could be none."""
    ranked = [row for row, _ in rows]
    places = [place for place, (row, entry) in enumerate(rows) if entry.complete and not row.reference]
    if len(places) < 2:
        return ranked, (), []
    methods = [rows[place][1].accuracies for place in places]
    if reason := untestable(methods):
        return ranked, (), [f"no ranks: {reason}, too few to test methods against each other"]
    ranking = compare(methods)
    for place, rank, tied in zip(places, ranking.ranks, ranking.tied, strict=True):
        if (figures := ranked[place].figures) is not None:
            ranked[place] = dataclasses.replace(
                ranked[place], figures=dataclasses.replace(figures, rank=rank, tied=tied)
            )
    tests = (PairedTest(places[t.first], places[t.second], t.difference, t.p, t.corrected) for t in ranking.tests)
    return ranked, tuple(tests), []


def _with_published(
    rows: Sequence[Row], group: Group, ipc: int | None, setting: str, published: Sequence[Reported]
) -> list[Row]:
    """Puts what papers report beside the rows it belongs to: whole clips, judged on the test split."""
    if group.judged_on != "test" or setting_label(setting, group.frames()) != "dense":
        return list(rows)
    placed = []
    for row in rows:
        found = beside(published, group.dataset, None if row.reference else ipc, row.method, group.network)
        if found and row.figures is not None:
            figures = dataclasses.replace(row.figures, reported=found[0])
            notes = [_from(found[0])] + [f"also reported: {100 * f.mean:.4g} by {_from(f)}" for f in found[1:]]
            notes_of_row = (*row.notes, *(Note("reported", text) for text in notes))
            placed.append(dataclasses.replace(row, figures=figures, notes=notes_of_row))
        else:
            placed.append(row)
    return placed


def _from(figure: Reported) -> str:
    second_hand = ", read second-hand" if figure.confidence == "secondary" else ""
    return f"{figure.paper}{second_hand}: {figure.source}"


def _about_published(rows: Sequence[Row], group: Group) -> list[str]:
    if not any(row.figures is not None and row.figures.reported is not None for row in rows):
        return []
    return [f"reported figures were measured by their papers' own protocols, this table's is {group.protocol}"]


def _order(row: Row) -> tuple[Any, ...]:
    accuracy = row.figures.accuracy if row.figures is not None else None
    mean = accuracy.mean if accuracy is not None else 0.0
    return row.figures is None, accuracy is None, not row.reference, -mean, row.label


def _variants(records: Sequence[Record]) -> list[_Variant]:
    found: defaultdict[tuple[str, str, str, bool], dict[int | None, Record]] = defaultdict(dict)
    spelled: dict[str, str] = {}  # most configs are written alike, and comparing that is faster than spelling them out
    for record in records:
        cell = record.cell
        config = cell.config if cell.storage == PLAIN else {**cell.config, "storage": cell.storage}
        written = repr(config)
        if written not in spelled:
            spelled[written] = canonical_json(config)
        found[cell.method, spelled[written], _source(record), cell.ipc is None][cell.seed] = record
    return [
        _Variant(method, json.loads(config), source, reference, dict(sorted(by_seed.items(), key=_seed_order)))
        for (method, config, source, reference), by_seed in sorted(found.items())
    ]


def _source(record: Record) -> str:
    """What tells states of a method's code of one version apart: of a plugin part of the cell, else provenance."""
    return record.cell.plugins.get("method") or str(record.provenance.get("source", ""))


def _whole_data(entries: Sequence[_Entry]) -> list[_Entry]:
    """The complete rows without budget that hold the most clips: the full data, once or in several versions."""
    clips = {
        place: max((record.set.clips for record in entry.variant.ok().values() if record.set is not None), default=0)
        for place, entry in enumerate(entries)
        if entry.variant.reference and entry.complete
    }
    return [entries[place] for place, count in clips.items() if count == max(clips.values())]


def _seed_order(item: tuple[int | None, Record]) -> int:
    return -1 if item[0] is None else item[0]


def _without_superseded(variants: Sequence[_Variant]) -> tuple[list[_Variant], list[str]]:
    """Leaves out failed attempts with another version of a method's source, and says so."""
    worked = {(variant.method, canonical_json(dict(variant.config))) for variant in variants if variant.ok()}
    kept, left = [], Counter[str]()
    for variant in variants:
        if not variant.ok() and (variant.method, canonical_json(dict(variant.config))) in worked:
            left[variant.method] += len(variant.by_seed)
        else:
            kept.append(variant)
    return kept, [
        f"{method}: {count} unfinished cell{'s' * (count > 1)} of another version of its source left out"
        for method, count in sorted(left.items())
    ]


def _labels(variants: Sequence[_Variant]) -> list[str]:
    """The methods' names, with the hyper-parameters (and source) in which rows of one method differ."""
    labels = []
    for variant in variants:
        same = [other for other in variants if other.method == variant.method]
        names = dict.fromkeys(name for other in same for name in other.config)
        shown = [
            f"{name}={_written(variant.config[name])}"
            for name in names
            if name in variant.config and _differ(other.config.get(name) for other in same)
        ]
        shown += [f"source={variant.source[:7]}"] if _differ(other.source for other in same) else []
        labels.append(variant.method + (f" [{', '.join(shown)}]" if shown else ""))
    return labels


def _differ(values: Iterable[Value]) -> bool:
    return len({(type(value), value) for value in values}) > 1  # 1, 1.0 and True are not the same


def _written(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# ----------------------------------------------------------------------------------------------------------------------
# One row


def _row(entry: _Entry, design: _Design, reference: _Entry | None, base: _Entry | None, context: _Context) -> Row:
    variant, holes = entry.variant, entry.holes
    if not entry.accuracies:
        statuses = sorted({_status(record) for record in variant.by_seed.values()})
        return _as_row(variant, entry.label, "/".join(statuses), None, [Note("accuracy", text) for text in holes])
    figures = _figures(entry, design, reference, base, context)
    seedless = None in entry.accuracies
    notes = [Note("accuracy", f"no mean over a part of the trainings; missing: {'; '.join(holes)}")] if holes else []
    notes += _interval_notes("accuracy", figures.accuracy, seedless)
    notes += _interval_notes("gain", figures.gain, seedless and base is not None and None in base.accuracies)
    searched = any(record.cell.dataset in context.leaks.leaked for record in variant.ok().values())
    notes += [Note("without_leaks", UNKNOWN)] if searched and figures.without_leaks is None and not holes else []
    notes += [Note("ddranking", SOFT)] if _soft(variant) else []
    notes += [Note("stored", text) for text in _storage_losses(variant)]
    notes += [Note("upstream", SHARED)] if figures.upstream_shared and not holes else []
    notes += [Note("tune", TUNED_TOGETHER)] if figures.tune_shared and not holes else []
    notes += [Note("memory", HOST)] if figures.peak_host and not figures.peak_device else []
    notes += [Note("unfit", UNFIT)] if figures.unfit else []
    return _as_row(variant, entry.label, PARTIAL if holes else "ok", figures, notes)


def _as_row(variant: _Variant, label: str, status: str, figures: Figures | None, notes: Sequence[Note]) -> Row:
    return Row(
        variant.method, label, variant.config, variant.source, variant.reference, status, figures, tuple(notes),
        tuple(variant.ok().values()),
    )  # fmt: skip


def _missing_row(method: str) -> Row:
    note = Note("accuracy", "no record of this budget; run the grid with it")
    return Row(method, method, None, None, False, MISSING, None, (note,), ())


def _figures(
    entry: _Entry, design: _Design, reference: _Entry | None, base: _Entry | None, context: _Context
) -> Figures:
    ok, complete, accuracies = list(entry.variant.ok().values()), entry.complete, entry.accuracies
    has_top5 = complete and all(evaluation.top5 is not None for record in ok for evaluation in record.evaluations)
    accuracy = context.estimator(_matrix(accuracies)) if complete else None
    whole = stats.grand_mean(reference.accuracies) if reference is not None else None
    other = base.accuracies if complete and base is not None and base is not entry else None
    shared = stats.differences(accuracies, other) if other is not None else None
    distil = [record.costs["distil"].wall_seconds for record in ok if "distil" in record.costs]
    costs = [cost for record in ok for cost in record.costs.values()]
    upstream = [record.costs["upstream"] for record in ok if "upstream" in record.costs]
    tune = [record.costs["tune"] for record in ok if "tune" in record.costs]
    kept = [context.leaks.kept(record) for record in ok]
    left_out = {len(clips) - sum(clips) for clips in kept if clips is not None}
    return Figures(
        seeds=len(design.asked(entry.variant)),
        networks=len(design.networks),
        trainings=sum(map(len, accuracies.values())),
        accuracy=accuracy,
        top5=context.estimator(_matrix(_trainings(ok, _top5_share))) if has_top5 else None,
        share=accuracy.mean / whole if accuracy is not None and whole else None,
        gain=None if shared is None else context.estimator(shared),
        stored=_extent([record.set.storage_bytes for record in ok if record.set is not None]),
        stored_fp32=_extent([record.set.storage_bytes_fp32 for record in ok if record.set is not None]),
        distil_seconds=_average(distil) if complete else None,
        upstream_seconds=_average([cost.wall_seconds for cost in upstream]) if complete else None,
        upstream_shared=any(cost.shared for cost in upstream),
        tune_seconds=_average([cost.wall_seconds for cost in tune]) if complete else None,
        tune_shared=any(cost.shared for cost in tune),
        peak_device=max((cost.peak_device_bytes for cost in costs), default=0),
        peak_host=max((cost.peak_host_bytes for cost in costs), default=0),
        unfit=sum(not evaluation.fitted for record in ok for evaluation in record.evaluations),
        relative=_relative(entry, accuracy, whole, base),
        without_leaks=_without_leaks(ok, context) if complete else None,
        inflation=_average([_inflation(record) for record in ok])
        if complete and all(map(_has_checkpoints, ok))
        else None,
        left_out=left_out.pop() if len(left_out) == 1 and None not in kept else None,
    )


def _has_checkpoints(record: Record) -> bool:
    counts = {len(evaluation.checkpoints) for evaluation in record.evaluations}
    return len(counts) == 1 and counts != {0}


def _inflation(record: Record) -> float:
    """Best mean accuracy over the networks at a checkpoint minus that at the last one."""
    points = range(len(record.evaluations[0].checkpoints))
    correct = [sum(evaluation.checkpoints[point] for evaluation in record.evaluations) for point in points]
    tested = sum(evaluation.tested() for evaluation in record.evaluations)
    return (max(correct) - correct[-1]) / max(1, tested)


def _without_leaks(records: Sequence[Record], context: _Context) -> Interval | None:
    """Accuracy on the test clips that are no leaks, where it is known of every training."""
    found: dict[int | None, dict[int, float]] = {}
    for record in records:
        kept = context.leaks.kept(record)
        for evaluation in record.evaluations:
            accuracy = None if kept is None else accuracy_without(evaluation, kept)
            if accuracy is None:
                return None
            found.setdefault(record.cell.seed, {})[evaluation.network] = accuracy
    return context.estimator(_matrix(found))


def _relative(
    entry: _Entry, accuracy: Interval | None, whole: float | None, base: _Entry | None
) -> RelativeScores | None:
    if accuracy is None or whole is None or base is None or entry.variant.reference or _soft(entry.variant):
        return None
    return relative_scores(accuracy.mean, whole, stats.grand_mean(base.accuracies))


def _storage_losses(variant: _Variant) -> list[str]:
    """What the storage codec of its sets lost, the worst of the seeds."""
    ok = variant.ok().values()
    losses = [record.data["storage_loss"] for record in ok if "storage_loss" in record.data]
    if not losses:
        return []
    rms, most = (max(loss[name] for loss in losses) for name in ("rms", "max"))
    codec = next(iter(ok)).cell.storage
    return [f"stored as {codec}: rendered clips are {rms:.2g} (rms), at most {most:.2g} off, in network units"]


def _soft(variant: _Variant) -> bool:
    """Whether its sets store labels of their own."""
    return any(record.set is not None and "labels" in record.set.tensors for record in variant.ok().values())


def _trainings(records: Iterable[Record], figure: Callable[[Evaluation], float]) -> Trainings:
    return {r.cell.seed: {evaluation.network: figure(evaluation) for evaluation in r.evaluations} for r in records}


def _matrix(values: Trainings) -> list[list[float]]:
    return [[value for _, value in sorted(by_network.items())] for by_network in values.values()]


def _top5_share(evaluation: Evaluation) -> float:
    return (evaluation.top5 or 0) / max(1, evaluation.tested())


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _extent(values: Sequence[int]) -> Extent | None:
    return Extent(min(values), max(values)) if values else None


def _interval_notes(column: Column, found: Interval | None, seedless: bool) -> list[Note]:
    """What an interval does not speak of; nothing is left unsaid over networks alone where nothing else is random."""
    if found is None or (found.covers == "networks" and seedless):
        return []
    texts = {"both": None, "seeds": SEEDS_ONLY, "networks": NETWORKS_ONLY, None: TOO_FEW}
    text = texts[found.covers]
    return [] if text is None else [Note(column, text)]


def _status(record: Record) -> str:
    return "no figures" if record.status == "ok" else record.status


def _holes(variant: _Variant, design: _Design) -> list[str]:
    """What is missing of a row and why, one sentence for each reason."""
    seeds_by_reason: defaultdict[str, list[int | None]] = defaultdict(list)
    for seed, record in variant.by_seed.items():
        lacking = set(design.networks) - {evaluation.network for evaluation in record.evaluations}
        if record.status != "ok":
            reason = textwrap.shorten(record.reason, 240, placeholder=" …")
            seeds_by_reason[record.status + (f": {reason}" if reason else "")].append(seed)
        elif not record.evaluations:
            seeds_by_reason["ok, but its record holds no evaluation"].append(seed)
        elif lacking:
            numbers = ", ".join(map(str, sorted(lacking)))
            seeds_by_reason[f"without network{'s' * (len(lacking) > 1)} {numbers}"].append(seed)
    for seed in design.asked(variant):
        if seed not in variant.by_seed:
            seeds_by_reason["no record"].append(seed)
    return [_of_seeds(missing) + reason for reason, missing in seeds_by_reason.items()]


def _of_seeds(seeds: Sequence[int | None]) -> str:
    numbers = [str(seed) for seed in seeds if seed is not None]
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(numbers)} " if numbers else ""


# ----------------------------------------------------------------------------------------------------------------------
# Remarks


def _about_comparison(what: str, with_what: str, complete: int) -> list[str]:
    if complete == 1:
        return []
    has = "no complete row" if complete == 0 else f"{complete} rows"
    return [f"no {what}: {with_what} has {has} in this table"]


def _class_counts(record: Record) -> tuple[int, ...]:
    """Test clips of each class."""
    return tuple(sum(row) for row in record.evaluations[0].confusion)


def _trivial(finished: Sequence[Record]) -> tuple[float | None, float | None]:
    if not finished:
        return None, None
    counts = _class_counts(finished[0])
    return 1 / max(1, len(counts)), max(counts, default=0) / max(1, sum(counts))


def _about_trivial(finished: Sequence[Record], chance: float | None, majority: float | None) -> list[str]:
    if chance is None or majority is None:
        return []
    classes = len(_class_counts(finished[0]))
    return [
        f"chance is {100 * chance:.1f} % ({classes} classes); "
        f"always answering the largest class of the test clips scores {100 * majority:.1f} %"
    ]


def _about_left_out(records: Sequence[Record], most: int = 3) -> list[str]:
    clips = {str(key): str(reason) for record in records for key, reason in record.data.get("left_out", [])}
    if not clips:
        return []
    reasons = Counter(textwrap.shorten(reason, 80, placeholder=" …") for reason in clips.values()).most_common()
    parts = [f"{count} × {reason}" for reason, count in sorted(reasons, key=lambda item: (-item[1], item[0]))]
    if len(parts) > most:
        parts[most:] = [f"{len(parts) - most} other reasons"]
    return [f"{len(clips)} clip{'s' * (len(clips) > 1)} left out of the data: {'; '.join(parts)}"]


def _about_protocol(group: Group) -> list[str]:
    """What marks figures that are not to be set against those of other protocols."""
    text = PROTOCOL_REMARKS.get(group.protocol.partition("/")[0])
    return [] if text is None else [text]


def _about_leaks(finished: Sequence[Record], leaks: Leaks) -> list[str]:
    kept = {clips for record in finished if (clips := leaks.kept(record)) is not None}
    counts = {(len(clips) - sum(clips), len(clips)) for clips in kept}
    return [
        f"{leaked} of {clips} test clips are leaked: near-identical frames stand in train"
        for leaked, clips in sorted(counts)
    ]


def _disagreements(records: Sequence[Record]) -> list[str]:
    """What rows of one table should have in common and have not."""
    finished = [record for record in records if record.status == "ok" and record.evaluations]
    decoded = [record for record in records if record.data.get("digest")]
    return [
        *_disagreement("the decoded clips", decoded, _digest, "digest {}".format),
        *_disagreement(
            "the test clips", finished, _class_counts, lambda counts: f"counts by class {_shortened(counts)}"
        ),
        *_disagreement("the record's layout", records, lambda record: record.cell.schema, "schema {}".format),
    ]


def _digest(record: Record) -> str:
    return str(record.data["digest"])[:12]


def _disagreement(
    what: str, records: Sequence[Record], fact: Callable[[Record], Any], text: Callable[[Any], str]
) -> list[str]:
    methods: defaultdict[Any, set[str]] = defaultdict(set)
    for record in records:
        methods[fact(record)].add(record.cell.method)
    if len(methods) < 2:
        return []
    named = sorted((text(value), names) for value, names in methods.items())
    camps = [f"{', '.join(sorted(names))} ({value})" for value, names in named]
    return [f"CAUTION: the rows do not agree on {what}: {' against '.join(camps)}"]


def _shortened(counts: Sequence[int], most: int = 60) -> str:
    """Counts in a form that still differs where they do."""
    text = ",".join(map(str, counts))
    return text if len(text) <= most else f"{sum(counts)} in all, {hashlib.sha256(text.encode()).hexdigest()[:8]}"
