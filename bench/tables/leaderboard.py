"""From records to leaderboards: which records are compared with which, and in what order their rows stand. Pure: no files."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from bench.api import Evaluation
from bench.core.config import Value
from bench.core.files import canonical_json
from bench.core.storage import PLAIN
from bench.core.temporal import presets
from bench.results.cells import Cell
from bench.results.records import Record
from bench.tables import remarks, stats
from bench.tables.comparisons import PairedTest, compare, untestable
from bench.tables.data_names import names_of_data
from bench.tables.figures import Candidate, Compared, Context, Design, Variant, figures_of, trainings
from bench.tables.leaks import Leaks
from bench.tables.published import Reported, beside
from bench.tables.rows import MISSING, PARTIAL, Group, Leaderboard, Note, Row, amount_label, setting_label
from bench.tables.states import State, about_sources, newest, source_of, state_of
from bench.tables.stats import Estimator, Trainings


def leaderboards(
    records: Iterable[Record],
    baseline: str = "random",
    published: Sequence[Reported] = (),
    estimator: Estimator = stats.interval,
    leaks: Leaks | None = None,
    all_versions: bool = False,
) -> list[Leaderboard]:
    """All leaderboards, in a fixed order that does not depend on the order of the records.

    A cell without a budget (IPC None) serves every budget and every setting, and is a row in all of its group.

    Args:
        records: of any cells; a cell that occurs twice counts once.
        baseline: the method that gains are over.
        published: figures of papers, to stand beside the measured ones.
        estimator: makes the intervals.
        leaks: which test clips leaked into train, for the accuracy without them.
        all_versions: whether every version of a method and every source of a plugin has a row, not only the newest.
    """
    context = Context(baseline, tuple(published), estimator, leaks or Leaks(), all_versions)
    groups: defaultdict[Group, list[Record]] = defaultdict(list)
    for _, record in sorted({record.id: record for record in records}.items()):
        groups[_group(record)].append(record)
    names = names_of_data(groups)
    return [
        board
        for group, members in sorted(groups.items(), key=lambda item: _group_order(item[0]))
        for board in _boards(group, names[group], members, context)
    ]


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


def _places(group: Group, records: Sequence[Record]) -> list[_Place]:
    """Where a group has a leaderboard: presets in their order, then other settings; bytes after clips."""
    every = {_place(record.cell) for record in records}
    with_budget = {place for place in every if place[1:] != (None, None)}
    order = {str(setting): number for number, setting in enumerate(presets(group.frames()).values())}
    return sorted(
        with_budget or every, key=lambda place: (order.get(place[0], len(order)), place[0], place[2] or 0, place[1] or 0)
    )  # fmt: skip


def _title(group: Group, data: str, amount: str, setting: str) -> str:
    return " · ".join([data, amount, setting_label(setting, group.frames()), *group.context()])


# ----------------------------------------------------------------------------------------------------------------------
# One leaderboard


def _boards(group: Group, data: str, members: Sequence[Record], context: Context) -> list[Leaderboard]:
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
        _board(group, data, place, [*by_place[place], *shared], methods[place[0], place[2] is None], context)
        for place in _places(group, members)
    ]


def _board(
    group: Group, data: str, place: _Place, here: Sequence[Record], methods: set[str], context: Context
) -> Leaderboard:
    """One leaderboard of its records; a method that has records of this setting, but none of this budget, is missing."""
    setting, ipc, budget = place
    shown, left_out = (list(here), []) if context.all_versions else newest(here)
    variants = _variants(shown)
    finished = [record for variant in variants for record in variant.ok().values()]
    design = Design(
        _asked_seeds(variants),
        tuple(sorted({evaluation.network for record in finished for evaluation in record.evaluations})),
    )
    candidates = [
        Candidate(v, label, trainings(v.ok().values(), Evaluation.accuracy), tuple(remarks.holes_of(v, design)))
        for v, label in zip(variants, _labels(variants), strict=True)
    ]
    references = _full_data(candidates)
    baselines = [each for each in candidates if each.variant.method == context.baseline and each.complete]
    reference = references[0] if len(references) == 1 else None
    base = baselines[0] if len(baselines) == 1 else None
    pairs = [
        (_row(each, design, Compared(reference, base, _start(each, candidates)), context), each) for each in candidates
    ]
    pairs.sort(key=lambda pair: _order(pair[0]))
    ranked, tests, untested = _ranked(pairs)
    missing = [_missing_row(name) for name in methods - {record.cell.method for record in here}]
    published = context.published if budget is None else ()  # papers report IPC
    rows = _with_published(sorted([*ranked, *missing], key=_order), group, ipc, setting, published)
    chance, majority = remarks.trivial(finished)
    said = [
        *remarks.about_comparison("share of the full data", "a method without budget (such as full)", len(references)),
        *remarks.about_comparison(f"gain over {context.baseline}", context.baseline, len(baselines)),
        *untested,
        *remarks.about_published(rows, group),
        *left_out,
        *about_sources(shown),
        *remarks.about_trivial(finished, chance, majority),
        *remarks.about_protocol(group),
        *remarks.about_left_out(here),
        *remarks.about_leaks(finished, context.leaks),
        *remarks.about_disagreements(here),
        *remarks.notes_of_data(here),
    ]
    title = _title(group, data, amount_label(ipc, budget), setting)
    return Leaderboard(
        group, data, ipc, setting, title, context.baseline, chance, majority, tuple(rows), tests, tuple(said), budget
    )  # fmt: skip


def _ranked(pairs: Sequence[tuple[Row, Candidate]]) -> tuple[list[Row], tuple[PairedTest, ...], list[str]]:
    """The rows with their ranks, the tests that gave them, and what they could see, or why there are none."""
    rows = [row for row, _ in pairs]
    places = [place for place, (row, each) in enumerate(pairs) if each.complete and not row.reference]
    if len(places) < 2:
        return rows, (), []
    methods = _on_shared_seeds([pairs[place][1].accuracies for place in places])
    if reason := untestable(methods):
        return rows, (), [f"no ranks: {reason}, too few to test methods against each other"]
    ranking = compare(methods)
    for place, rank, tied in zip(places, ranking.ranks, ranking.tied, strict=True):
        if (figures := rows[place].figures) is not None:
            rows[place] = dataclasses.replace(rows[place], figures=dataclasses.replace(figures, rank=rank, tied=tied))
    tests = (PairedTest(places[t.first], places[t.second], t.difference, t.p, t.corrected) for t in ranking.tests)
    return rows, tuple(tests), remarks.about_visible(ranking.visible)


def _asked_seeds(variants: Sequence[Variant]) -> tuple[int, ...]:
    """The seeds that somebody asked for; all of them where each was added by `--resolve`."""
    by_seed = [(seed, record) for variant in variants for seed, record in variant.by_seed.items()]
    asked = {seed for seed, record in by_seed if seed is not None and not record.data.get("added")}
    return tuple(sorted(asked or {seed for seed, _ in by_seed if seed is not None}))


def _on_shared_seeds(methods: Sequence[Trainings]) -> list[Trainings]:
    """The same methods on the seeds that all of those have that draw any."""
    drawn = [set(method) for method in methods if None not in method]
    shared = set.intersection(*drawn) if drawn else set()
    return [
        method if None in method else {seed: values for seed, values in method.items() if seed in shared}
        for method in methods
    ]


def _with_published(
    rows: Sequence[Row], group: Group, ipc: int | None, setting: str, published: Sequence[Reported]
) -> list[Row]:
    """Puts what papers report beside the rows it belongs to: whole clips, judged on the test split."""
    if group.judged_on != "test" or setting_label(setting, group.frames()) != "dense":
        return list(rows)
    placed = []
    for row in rows:
        reported = beside(published, group.dataset, None if row.reference else ipc, row.method, group.network)
        if reported and row.figures is not None:
            figures = dataclasses.replace(row.figures, reported=reported[0])
            notes = (*row.notes, *remarks.notes_on_reported(reported))
            placed.append(dataclasses.replace(row, figures=figures, notes=notes))
        else:
            placed.append(row)
    return placed


def _order(row: Row) -> tuple[Any, ...]:
    accuracy = row.figures.accuracy if row.figures is not None else None
    mean = accuracy.mean if accuracy is not None else 0.0
    return row.figures is None, accuracy is None, not row.reference, -mean, row.label


def _full_data(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The complete rows without budget that hold the most clips: the full data, once or in several versions."""
    clips = {
        place: max((record.set.clips for record in each.variant.ok().values() if record.set is not None), default=0)
        for place, each in enumerate(candidates)
        if each.variant.reference and each.complete
    }
    return [candidates[place] for place, count in clips.items() if count == max(clips.values())]


# ----------------------------------------------------------------------------------------------------------------------
# The records of a row


def _variants(records: Sequence[Record]) -> list[Variant]:
    """The records by what makes a row: method, configuration, state of its code, with or without a budget."""
    by_row: defaultdict[tuple[str, str, State, bool], dict[int | None, Record]] = defaultdict(dict)
    canonical: dict[
        str, str
    ] = {}  # most configs are written alike, and comparing that is faster than spelling them out
    for record in records:
        cell = record.cell
        config = cell.config if cell.storage == PLAIN else {**cell.config, "storage": cell.storage}
        written = repr(config)
        if written not in canonical:
            canonical[written] = canonical_json(config)
        by_row[cell.method, canonical[written], state_of(record), cell.ipc is None][cell.seed] = record
    return [
        Variant(method, json.loads(config), state, reference, dict(sorted(by_seed.items(), key=_seed_order)))
        for (method, config, state, reference), by_seed in sorted(by_row.items())
    ]


def _seed_order(item: tuple[int | None, Record]) -> int:
    return -1 if item[0] is None else item[0]


def _labels(variants: Sequence[Variant]) -> list[str]:
    """The methods' names, with the hyper-parameters, version and source in which rows of one method differ."""
    labels = []
    for variant in variants:
        same_method = [other for other in variants if other.method == variant.method]
        names = dict.fromkeys(name for other in same_method for name in other.config)
        differences = [
            f"{name}={_written(variant.config[name])}"
            for name in names
            if name in variant.config and _differ(other.config.get(name) for other in same_method)
        ]
        if _differ(other.state.version for other in same_method):
            differences.append(f"version={variant.state.version}")
        if _differ(other.state.plugin for other in same_method):
            differences.append(f"source={variant.state.plugin[:7]}")
        labels.append(variant.method + (f" [{', '.join(differences)}]" if differences else ""))
    return labels


def _differ(values: Iterable[Value]) -> bool:
    return len({(type(value), value) for value in values}) > 1  # 1, 1.0 and True are not the same


def _written(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _start(candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    """The row of the set that a row was learned from."""
    start = candidate.variant.start()
    if start is None:
        return None
    same = [
        each for each in candidates if (each.variant.method, dict(each.variant.config)) == (start[0], dict(start[1]))
    ]
    return same[0] if len(same) == 1 else None


def _row(candidate: Candidate, design: Design, compared: Compared, context: Context) -> Row:
    variant, holes = candidate.variant, candidate.holes
    if candidate.accuracies:
        figures = figures_of(candidate, design, compared, context)
        notes = remarks.notes_of(candidate, figures, compared, context.leaks)
        status = PARTIAL if holes else "ok"
    else:
        figures, notes = None, [Note("accuracy", text) for text in holes]
        status = "/".join(sorted({_status(record) for record in variant.by_seed.values()}))
    return Row(
        variant.method, candidate.label, variant.config, variant.state, source_of(variant.by_seed.values()),
        variant.reference, status, figures, tuple(notes), tuple(variant.ok().values()),
    )  # fmt: skip


def _status(record: Record) -> str:
    return "no figures" if record.status == "ok" else record.status


def _missing_row(method: str) -> Row:
    note = Note("accuracy", "no record of this budget; run the grid with it")
    return Row(method, method, None, None, None, False, MISSING, None, (note,), ())
