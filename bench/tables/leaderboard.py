"""From records to leaderboards: what is compared with what, and every figure of every row. Pure: no files, no formatting."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.api import Evaluation
from bench.config import Value
from bench.errors import BenchError
from bench.store.records import Record, canonical_json
from bench.tables.stats import ENOUGH_SEEDS, Interval, Trainings, interval, paired
from bench.temporal import parse, presets

Column = Literal["accuracy", "top5", "share", "gain", "upstream", "tune", "memory", "unfit"]

MISSING = "missing"

UNFIT = "networks that did not fit the set they were trained on; their test figure says nothing about the set"
ONE_TRAINING = "a single training leaves no interval"
NETWORKS_ONLY = (
    f"95 % interval over trained networks only (fewer than {ENOUGH_SEEDS} distillation seeds): "
    "it speaks of new networks, not of a new distillation"
)
SHARED = "made once and used by several cells; these are the seconds of making it"
TUNED_TOGETHER = "one search for all distillation seeds; these are the seconds of all its trials"
HOST = "resident memory of the process (no GPU was used)"


@dataclass(frozen=True)
class Group:
    """What figures must have in common to be compared at all."""

    dataset: str
    fingerprint: str
    profile: str
    network: str
    geometry: tuple[tuple[str, int], ...]
    protocol: str
    judged_on: str

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
        accuracy, top5: shares of test clips in [0, 1]; top-5 is None where it was not counted.
        share: accuracy divided by that of the reference, or None.
        gain: accuracy minus that of the baseline, paired by seed and network, or None.
        stored, stored_fp32: bytes of the set as stored, and at four bytes a number.
        distil_seconds, upstream_seconds: wall time, mean over the seeds; None where there was no such phase.
        upstream_shared: whether the upstream result serves several cells.
        tune_seconds, tune_shared: the same of the search for its hyper-parameters.
        peak_device, peak_host: most bytes over all phases and seeds; 0 without a GPU.
        unfit: trained networks that did not fit their set.
    """

    accuracy: Interval
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


@dataclass(frozen=True)
class Row:
    """One method in one configuration.

    Attributes:
        method, config, source: as in `Cell`; config and source are None for a method without any record here.
        label: the name, with what tells it from other rows of the same method.
        reference: whether it does not depend on the budget (``full``): one figure for every IPC.
        status: ``ok`` if any cell is finished, else how they ended, or ``missing``.
        figures: None unless ``ok``.
        notes: footnotes.
    """

    method: str
    label: str
    config: Mapping[str, Value] | None
    source: str | None
    reference: bool
    status: str
    figures: Figures | None
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Leaderboard:
    """Rows that may be compared.

    Attributes:
        group, ipc, setting: what all rows have in common; ipc is None if no row has a budget, the setting is written out.
        title: a line that no other leaderboard of the same call has.
        baseline: the method that gains are over.
        chance: accuracy of guessing, or None if no cell is finished.
        majority: accuracy of always answering the largest class of the test clips, or None.
        rows: the reference first, then by accuracy, holes last.
        remarks: footnotes to the whole table, one sentence each.
    """

    group: Group
    ipc: int | None
    setting: str
    title: str
    baseline: str
    chance: float | None
    majority: float | None
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def leaderboards(records: Iterable[Record], baseline: str = "random") -> list[Leaderboard]:
    """All leaderboards, in a fixed order that does not depend on the order of the records.

    A cell without a budget (IPC None) serves every budget and every setting, and is a row in all of its group.

    Args:
        records: of any cells; a cell that occurs twice counts once.
        baseline: the method that gains are over.
    """
    groups: defaultdict[Group, list[Record]] = defaultdict(list)
    for _, record in sorted({record.id: record for record in records}.items()):
        groups[_group(record)].append(record)
    boards = [
        _board(group, ipc, setting, members, baseline)
        for group, members in sorted(groups.items(), key=lambda item: _group_order(item[0]))
        for setting, ipc in _boards_of(group, members)
    ]
    return _with_distinct_titles(boards)


def setting_label(written: str, frames: int) -> str:
    """The preset's name of a temporal setting that is written out, else the setting as it is."""
    try:
        return parse(written, frames).label(frames)
    except BenchError:
        return written


# ----------------------------------------------------------------------------------------------------------------------
# Which records belong together


def _group(record: Record) -> Group:
    cell = record.cell
    geometry = tuple(sorted(cell.geometry.items()))
    return Group(
        cell.dataset, cell.fingerprint, cell.profile, cell.network, geometry, cell.protocol, cell.judged_on
    )  # fmt: skip


def _group_order(group: Group) -> tuple[Any, ...]:
    return dataclasses.astuple(dataclasses.replace(group, geometry=())), group.geometry


def _boards_of(group: Group, records: Sequence[Record]) -> list[tuple[str, int | None]]:
    every: set[tuple[str, int | None]] = {(record.cell.setting, record.cell.ipc) for record in records}
    boards = {board for board in every if board[1] is not None} or every
    names = [str(setting) for setting in presets(group.frames()).values()]
    order = {name: place for place, name in enumerate(names)}
    return sorted(boards, key=lambda board: (order.get(board[0], len(order)), board[0], board[1] or 0))


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


def _title(group: Group, ipc: int | None, setting: str) -> str:
    budget = "any IPC" if ipc is None else f"IPC {ipc}"
    parts = [
        group.dataset,
        budget,
        setting_label(setting, group.frames()),
        group.profile,
        group.protocol,
        group.network,
    ]
    parts += [f"judged on {group.judged_on}"] if group.judged_on != "test" else []
    return " · ".join(parts)


# ----------------------------------------------------------------------------------------------------------------------
# One leaderboard


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

    def accuracies(self) -> Trainings:
        return _trainings(self.ok().values(), Evaluation.accuracy)


def _board(group: Group, ipc: int | None, setting: str, members: Sequence[Record], baseline: str) -> Leaderboard:
    here = [r for r in members if r.cell.ipc is None or (r.cell.ipc, r.cell.setting) == (ipc, setting)]
    variants, superseded = _without_superseded(_variants(here))
    labels = _labels(variants)
    seeds = sorted({seed for variant in variants for seed in variant.by_seed if seed is not None})
    references = _whole_data(variants)
    baselines = [variant for variant in variants if variant.method == baseline and variant.ok()]
    reference = references[0] if len(references) == 1 else None
    base = baselines[0] if len(baselines) == 1 else None
    rows = [_row(v, label, seeds, reference, base) for v, label in zip(variants, labels, strict=True)]
    elsewhere = {r.cell.method for r in members if r.cell.setting == setting and r.cell.ipc is not None}
    rows += [_missing_row(name) for name in sorted(elsewhere - {r.cell.method for r in here})]
    finished = [record for variant in variants for record in variant.ok().values()]
    chance, majority = _trivial(finished)
    remarks = [
        *_about_comparison("share of the full data", "a method without budget (such as full)", len(references)),
        *_about_comparison(f"gain over {baseline}", baseline, len(baselines)),
        *superseded,
        *_about_trivial(finished, chance, majority),
        *_about_left_out(here),
        *_disagreements(here),
        *dict.fromkeys(str(note) for record in here for note in record.data.get("notes", [])),
    ]
    title = _title(group, ipc, setting)
    return Leaderboard(
        group, ipc, setting, title, baseline, chance, majority, tuple(sorted(rows, key=_rank)), tuple(remarks)
    )  # fmt: skip


def _rank(row: Row) -> tuple[Any, ...]:
    accuracy = row.figures.accuracy.mean if row.figures is not None else 0.0
    return row.figures is None, not row.reference, -accuracy, row.label


def _variants(records: Sequence[Record]) -> list[_Variant]:
    found: defaultdict[tuple[str, str, str, bool], dict[int | None, Record]] = defaultdict(dict)
    for record in records:
        cell = record.cell
        found[cell.method, canonical_json(cell.config), cell.source, cell.ipc is None][cell.seed] = record
    return [
        _Variant(method, json.loads(config), source, reference, dict(sorted(by_seed.items(), key=_seed_order)))
        for (method, config, source, reference), by_seed in sorted(found.items())
    ]


def _whole_data(variants: Sequence[_Variant]) -> list[_Variant]:
    """The finished rows without budget that hold the most clips: the full data, once or in several versions."""
    clips = {
        place: max((record.set.clips for record in variant.ok().values() if record.set is not None), default=0)
        for place, variant in enumerate(variants)
        if variant.reference and variant.ok()
    }
    return [variants[place] for place, count in clips.items() if count == max(clips.values())]


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


def _differ(values: Iterable[Any]) -> bool:
    return len({canonical_json(value) for value in values}) > 1


def _written(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# ----------------------------------------------------------------------------------------------------------------------
# One row


def _row(variant: _Variant, label: str, seeds: Sequence[int], reference: _Variant | None, base: _Variant | None) -> Row:
    ok = list(variant.ok().values())
    holes = _holes(variant, seeds)
    if not ok:
        statuses = sorted({_status(record) for record in variant.by_seed.values()})
        notes = [Note("accuracy", text) for text in holes]
        return _as_row(variant, label, "/".join(statuses), None, notes)
    figures = _figures(variant, ok, reference, base)
    notes = [Note("accuracy", text) for text in holes]
    notes += _interval_notes("accuracy", figures.accuracy)
    notes += _interval_notes("gain", figures.gain) if figures.gain is not None else []
    notes += [Note("upstream", SHARED)] if figures.upstream_shared else []
    notes += [Note("tune", TUNED_TOGETHER)] if figures.tune_shared else []
    notes += [Note("memory", HOST)] if figures.peak_host and not figures.peak_device else []
    notes += [Note("unfit", UNFIT)] if figures.unfit else []
    return _as_row(variant, label, "ok", figures, notes)


def _as_row(variant: _Variant, label: str, status: str, figures: Figures | None, notes: Sequence[Note]) -> Row:
    return Row(
        variant.method, label, variant.config, variant.source, variant.reference, status, figures, tuple(notes)
    )  # fmt: skip


def _missing_row(method: str) -> Row:
    note = Note("accuracy", "no record of this budget; run the grid with it")
    return Row(method, method, None, None, False, MISSING, None, (note,))


def _figures(variant: _Variant, ok: Sequence[Record], reference: _Variant | None, base: _Variant | None) -> Figures:
    accuracies = variant.accuracies()
    accuracy = _interval(accuracies)
    has_top5 = all(evaluation.top5 is not None for record in ok for evaluation in record.evaluations)
    whole = _interval(reference.accuracies()).mean if reference is not None else 0.0
    costs = [cost for record in ok for cost in record.costs.values()]
    upstream = [record.costs["upstream"] for record in ok if "upstream" in record.costs]
    tune = [record.costs["tune"] for record in ok if "tune" in record.costs]
    return Figures(
        accuracy=accuracy,
        top5=_interval(_trainings(ok, _top5_share)) if has_top5 else None,
        share=accuracy.mean / whole if whole > 0 else None,
        gain=paired(accuracies, base.accuracies()) if base is not None and base is not variant else None,
        stored=_extent([record.set.storage_bytes for record in ok if record.set is not None]),
        stored_fp32=_extent([record.set.storage_bytes_fp32 for record in ok if record.set is not None]),
        distil_seconds=_average([r.costs["distil"].wall_seconds for r in ok if "distil" in r.costs]),
        upstream_seconds=_average([cost.wall_seconds for cost in upstream]),
        upstream_shared=any(cost.shared for cost in upstream),
        tune_seconds=_average([cost.wall_seconds for cost in tune]),
        tune_shared=any(cost.shared for cost in tune),
        peak_device=max((cost.peak_device_bytes for cost in costs), default=0),
        peak_host=max((cost.peak_host_bytes for cost in costs), default=0),
        unfit=sum(not evaluation.fitted for record in ok for evaluation in record.evaluations),
    )


def _trainings(records: Iterable[Record], figure: Callable[[Evaluation], float]) -> Trainings:
    return {r.cell.seed: {evaluation.network: figure(evaluation) for evaluation in r.evaluations} for r in records}


def _interval(values: Trainings) -> Interval:
    return interval([list(by_network.values()) for by_network in values.values()])


def _top5_share(evaluation: Evaluation) -> float:
    return (evaluation.top5 or 0) / max(1, evaluation.tested())


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _extent(values: Sequence[int]) -> Extent | None:
    return Extent(min(values), max(values)) if values else None


def _interval_notes(column: Column, found: Interval) -> list[Note]:
    texts = {"seeds": None, "networks": NETWORKS_ONLY, None: ONE_TRAINING}
    text = texts[found.covers]
    return [] if text is None else [Note(column, text)]


def _status(record: Record) -> str:
    return "no figures" if record.status == "ok" else record.status


def _holes(variant: _Variant, seeds: Sequence[int]) -> list[str]:
    """What is missing of a row and why, one sentence for each reason."""
    seeds_by_reason: defaultdict[str, list[int | None]] = defaultdict(list)
    for seed, record in variant.by_seed.items():
        if record.status != "ok":
            reason = textwrap.shorten(record.reason, 240, placeholder=" …")
            seeds_by_reason[record.status + (f": {reason}" if reason else "")].append(seed)
        elif not record.evaluations:
            seeds_by_reason["ok, but its record holds no evaluation"].append(seed)
    if None not in variant.by_seed:
        for seed in seeds:
            if seed not in variant.by_seed:
                seeds_by_reason["no record"].append(seed)
    return [_of_seeds(missing) + reason for reason, missing in seeds_by_reason.items()]


def _of_seeds(seeds: Sequence[int | None]) -> str:
    numbers = [str(seed) for seed in seeds if seed is not None]
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(numbers)} " if numbers else ""


# ----------------------------------------------------------------------------------------------------------------------
# Remarks


def _about_comparison(what: str, with_what: str, finished: int) -> list[str]:
    if finished == 1:
        return []
    has = "no finished cell" if finished == 0 else f"{finished} rows"
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


def _disagreements(records: Sequence[Record]) -> list[str]:
    """What rows of one table should have in common and have not."""
    finished = [record for record in records if record.status == "ok" and record.evaluations]
    decoded = [record for record in records if record.data.get("digest")]
    return [
        *_disagreement("the decoded clips", decoded, lambda record: f"digest {str(record.data['digest'])[:12]}"),
        *_disagreement(
            "the test clips", finished, lambda record: f"counts by class {_shortened(_class_counts(record))}"
        ),
        *_disagreement("the record's layout", records, lambda record: f"schema {record.cell.schema}"),
    ]


def _disagreement(what: str, records: Sequence[Record], fact: Callable[[Record], str]) -> list[str]:
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        methods[fact(record)].add(record.cell.method)
    if len(methods) < 2:
        return []
    camps = [f"{', '.join(sorted(names))} ({value})" for value, names in sorted(methods.items())]
    return [f"CAUTION: the rows do not agree on {what}: {' against '.join(camps)}"]


def _shortened(counts: Sequence[int], most: int = 60) -> str:
    """Counts in a form that still differs where they do."""
    text = ",".join(map(str, counts))
    return text if len(text) <= most else f"{sum(counts)} in all, {hashlib.sha256(text.encode()).hexdigest()[:8]}"
