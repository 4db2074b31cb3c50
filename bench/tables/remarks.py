"""What footnotes say of the rows and figures of a leaderboard, and what remarks say of the whole table."""

from __future__ import annotations

import hashlib
import math
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.results.records import Record
from bench.tables.figures import Candidate, Compared, Design, Variant
from bench.tables.leaks import UNKNOWN, Leaks
from bench.tables.processors import mixed
from bench.tables.published import Reported
from bench.tables.rows import Figures, Group, Note, Row
from bench.tables.stats import ENOUGH_SEEDS, Interval

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
    "wang2024": "protocol of the published code: random windows at test, flips where left and right mean nothing, three passes "
    "pooled, each batch standardised by itself; to be set beside published figures, not against other protocols"
}
HOST = "resident memory of the process (no GPU was used)"

_ELLIPSIS = " …"

# ----------------------------------------------------------------------------------------------------------------------
# Footnotes to the figures of a row


def notes_of(candidate: Candidate, figures: Figures, compared: Compared, leaks: Leaks) -> list[Note]:
    """The footnotes of a row with figures, in the order in which tables number them."""
    variant, holes = candidate.variant, candidate.holes
    seedless = None in candidate.accuracies
    notes = [Note("accuracy", f"no mean over a part of the trainings; missing: {'; '.join(holes)}")] if holes else []
    notes += _of_interval("accuracy", figures.accuracy, seedless)
    notes += _of_interval("gain", figures.gain, seedless and _is_seedless(compared.base))
    notes += _of_interval("own_gain", figures.own_gain, seedless and _is_seedless(compared.start))
    notes += [] if holes else _of_start(variant, compared.start)
    notes += _of_processors(variant)
    notes += _of_borrowed(variant)
    notes += _of_objective(figures)
    searched = any(record.cell.dataset in leaks.leaked for record in variant.ok().values())
    notes += [Note("without_leaks", UNKNOWN)] if searched and figures.without_leaks is None and not holes else []
    notes += [Note("hlr", SOFT)] if variant.soft_labels() else []
    notes += [Note("stored", text) for text in _storage_losses(variant)]
    notes += [Note("upstream", SHARED)] if figures.upstream_shared and not holes else []
    notes += [Note("tune", TUNED_TOGETHER)] if figures.tune_shared and not holes else []
    notes += [Note("memory", HOST)] if figures.peak_host and not figures.peak_device else []
    notes += [Note("unfit", UNFIT)] if figures.unfit else []
    notes += [Note("accuracy", text) for text in _changes(variant)]
    return notes


def holes_of(variant: Variant, design: Design) -> list[str]:
    """What is missing of a row and why, one sentence for each reason."""
    seeds_by_reason: defaultdict[str, list[int | None]] = defaultdict(list)
    for seed, record in variant.by_seed.items():
        lacking = set(design.networks) - {evaluation.network for evaluation in record.evaluations}
        if record.status != "ok":
            reason = textwrap.shorten(record.reason, 240, placeholder=_ELLIPSIS)
            seeds_by_reason[record.status + (f": {reason}" if reason else "")].append(seed)
        elif not record.evaluations:
            seeds_by_reason["ok, but its record holds no evaluation"].append(seed)
        elif lacking:
            numbers = ", ".join(map(str, sorted(lacking)))
            seeds_by_reason[f"without network{'s' * (len(lacking) > 1)} {numbers}"].append(seed)
    for seed in design.asked(variant):
        if seed not in variant.by_seed:
            seeds_by_reason["no record"].append(seed)
    return [_of_seeds(seeds) + reason for reason, seeds in seeds_by_reason.items()]


def notes_on_reported(figures: Sequence[Reported]) -> list[Note]:
    """Where the reported figure was read, and what other papers report."""
    first, *others = figures
    texts = [_origin(first)] + [f"also reported: {100 * f.mean:.4g} by {_origin(f)}" for f in others]
    return [Note("reported", text) for text in texts]


def _of_interval(column: str, interval: Interval | None, seedless: bool) -> list[Note]:
    """What an interval does not speak of; nothing is left unsaid over networks alone where nothing else is random."""
    if interval is None or (interval.covers == "networks" and seedless):
        return []
    texts = {"both": None, "seeds": SEEDS_ONLY, "networks": NETWORKS_ONLY, None: TOO_FEW}
    text = texts[interval.covers]
    return [] if text is None else [Note(column, text)]


def _of_processors(variant: Variant) -> list[Note]:
    """That the trainings of a row ran on several kinds of processor, which its interval does not speak of."""
    kinds = mixed(variant.ok().values())
    if not kinds:
        return []
    parts = [
        f"{_of_seeds([record.cell.seed for record in records])}on {kind}" for kind, records in sorted(kinds.items())
    ]
    text = f"made on {len(kinds)} kinds of processor, whose figures of the same cell differ: {'; '.join(parts)}"
    return [Note("accuracy", text)]


def _of_borrowed(variant: Variant) -> list[Note]:
    """Which of its hyper-parameters are those of another dataset or IPC."""
    told = dict.fromkeys(record.data["borrowed"] for record in variant.ok().values() if "borrowed" in record.data)
    return [Note("accuracy", text) for text in told]


def _of_objective(figures: Figures) -> list[Note]:
    """That learning did not do what it is for."""
    found = figures.objective
    if found is None or found.fell():
        return []
    text = f"its objective did not fall: {found.before:.4g} at its start, {found.after:.4g} over the last tenth of its steps"
    return [Note("accuracy", text)]


def _is_seedless(candidate: Candidate | None) -> bool:
    return candidate is not None and None in candidate.accuracies


def _of_start(variant: Variant, start: Candidate | None) -> list[Note]:
    """Why there is no gain over the start of a learned set."""
    named = variant.start()
    if named is None or (start is not None and start.complete):
        return []
    return [Note("own_gain", f"its start ({named[0]}) has no complete row here; run the grid without --no-controls")]


def _storage_losses(variant: Variant) -> list[str]:
    """What the storage codec of its sets lost, the worst of the seeds."""
    records = variant.ok().values()
    losses = [record.data["storage_loss"] for record in records if "storage_loss" in record.data]
    if not losses:
        return []
    rms, most = (max(_number(loss.get(name)) for loss in losses) for name in ("rms", "max"))
    codec = next(iter(records)).cell.storage
    return [f"stored as {codec}: rendered clips are {rms:.2g} (rms), at most {most:.2g} off, in network units"]


def _number(value: float | None) -> float:
    """A figure; one that was not finite is None in a record."""
    return math.inf if value is None else value


def _changes(variant: Variant) -> list[str]:
    """What its cells changed of what all code of their processes shares."""
    found = dict.fromkeys(change for record in variant.ok().values() for change in record.changed)
    if not found:
        return []
    told = textwrap.shorten("; ".join(found), 240, placeholder=_ELLIPSIS)
    return [f"its cells changed what all code of their processes shares ({told}); no other cell met that"]


def _of_seeds(seeds: Sequence[int | None]) -> str:
    numbers = [str(seed) for seed in seeds if seed is not None]
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(numbers)} " if numbers else ""


def _origin(figure: Reported) -> str:
    second_hand = ", read second-hand" if figure.confidence == "secondary" else ""
    return f"{figure.paper}{second_hand}: {figure.source}"


# ----------------------------------------------------------------------------------------------------------------------
# Remarks on the whole table


def about_comparison(what: str, with_what: str, complete: int) -> list[str]:
    """Why a column is empty: the number of complete rows to compare with is not one."""
    if complete == 1:
        return []
    has = "no complete row" if complete == 0 else f"{complete} rows"
    return [f"no {what}: {with_what} has {has} in this table"]


def about_visible(difference: float | None) -> list[str]:
    """How large a difference must be for the tests of this table to find it."""
    if difference is None:
        return []
    return [
        f"two methods {100 * difference:.1f} points apart are told apart four times in five; smaller differences often are not"
    ]


def about_published(rows: Sequence[Row], group: Group) -> list[str]:
    """A reminder that papers measured by protocols of their own, where a figure of a paper is shown."""
    if not any(row.figures is not None and row.figures.reported is not None for row in rows):
        return []
    return [f"reported figures were measured by their papers' own protocols, this table's is {group.protocol}"]


def trivial(finished: Sequence[Record]) -> tuple[float | None, float | None]:
    """Accuracy of guessing and of always answering the largest class; None twice if nothing is finished."""
    if not finished:
        return None, None
    counts = _class_counts(finished[0])
    return 1 / max(1, len(counts)), max(counts, default=0) / max(1, sum(counts))


def about_trivial(finished: Sequence[Record], chance: float | None, majority: float | None) -> list[str]:
    """What the figures of `trivial` are."""
    if chance is None or majority is None:
        return []
    classes = len(_class_counts(finished[0]))
    return [
        f"chance is {100 * chance:.1f} % ({classes} classes); "
        f"always answering the largest class of the test clips scores {100 * majority:.1f} %"
    ]


def about_protocol(group: Group) -> list[str]:
    """What marks figures that are not to be set against those of other protocols."""
    text = PROTOCOL_REMARKS.get(group.protocol.partition("/")[0])
    return [] if text is None else [text]


def about_left_out(records: Sequence[Record], most: int = 3) -> list[str]:
    """How many clips did not decode, with at most ``most`` reasons."""
    clips = {str(key): str(reason) for record in records for key, reason in record.data.get("left_out", [])}
    if not clips:
        return []
    reasons = Counter(textwrap.shorten(reason, 80, placeholder=_ELLIPSIS) for reason in clips.values()).most_common()
    parts = [f"{count} × {reason}" for reason, count in sorted(reasons, key=lambda item: (-item[1], item[0]))]
    if len(parts) > most:
        parts[most:] = [f"{len(parts) - most} other reasons"]
    return [f"{len(clips)} clip{'s' * (len(clips) > 1)} left out of the data: {'; '.join(parts)}"]


def about_leaks(finished: Sequence[Record], leaks: Leaks) -> list[str]:
    """How many of the test clips are leaked, where that is known."""
    masks = {mask for record in finished if (mask := leaks.clean(record)) is not None}
    counts = {(len(mask) - sum(mask), len(mask)) for mask in masks}
    return [
        f"{leaked} of {clips} test clips are leaked: near-identical frames stand in train"
        for leaked, clips in sorted(counts)
    ]


def about_disagreements(records: Sequence[Record]) -> list[str]:
    """What rows of one table should have in common and have not."""
    finished = [record for record in records if record.status == "ok" and record.evaluations]
    decoded = [record for record in records if record.data.get("digest")]
    return [
        *_disagreement("the decoded clips", decoded, _digest, "digest {}".format),
        *_disagreement(
            "the test clips", finished, _class_counts, lambda counts: f"counts by class {_shortened(counts)}"
        ),
        *_disagreement("the source of a plugin's network or protocol", finished, _plugins, str),
        *_on_processors(finished),
        *_disagreement("the record's layout", records, lambda record: record.cell.schema, "schema {}".format),
    ]


def _on_processors(records: Sequence[Record]) -> list[str]:
    """Where the rows were made on several kinds of processor."""
    kinds = mixed(records)
    if not kinds:
        return []
    camps = [f"{', '.join(sorted({r.cell.method for r in made}))} ({kind})" for kind, made in sorted(kinds.items())]
    return [f"CAUTION: the rows do not agree on the kind of processor: {' against '.join(camps)}"]


def notes_of_data(records: Iterable[Record]) -> list[str]:
    """What the records say of their data, each sentence once."""
    return list(dict.fromkeys(str(note) for record in records for note in record.data.get("notes", [])))


def _class_counts(record: Record) -> tuple[int, ...]:
    """Test clips of each class."""
    return tuple(sum(row) for row in record.evaluations[0].confusion)


def _plugins(record: Record) -> str:
    """The plugins that judged, in a form that people can compare."""
    digests = sorted((kind, digest[:7]) for kind, digest in record.cell.plugins.items() if kind != "method")
    return ", ".join(f"{kind} {digest}" for kind, digest in digests) or "the suite's"


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
