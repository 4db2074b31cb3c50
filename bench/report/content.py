"""What the report shows, as plain values: from records to the one JSON object that the page draws. Pure: no files, no torch."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import BenchError
from bench.probes import PROBES
from bench.store.records import Record
from bench.tables import stats
from bench.tables.leaderboard import leaderboards
from bench.tables.leaks import Leaks
from bench.tables.published import Reported
from bench.tables.raw import as_values
from bench.tables.rows import Group, Leaderboard, Row, setting_label
from bench.tables.views import by_bytes, clips_a_class, over_datasets
from bench.temporal import parse

Clips = Mapping[str, Sequence[Mapping[str, Any]]]
"""By cell id: ``{"label": class index, "image": data URI of the frames side by side, "frames": T}`` of some clips."""

MOST_POINTS = 150
"""Points of a loss curve; more would not be seen."""

_PHASES = ("tune", "upstream", "distil", "evaluate", "probe")
_BUDGET = (
    "gain",
    "rank",
    "tied_with_best",
    "share_of_full",
)  # what a row without budget has in each of its leaderboards


def content(
    records: Sequence[Record],
    published: Sequence[Reported] = (),
    names: Mapping[str, Sequence[str]] | None = None,
    clips: Clips | None = None,
    real: Clips | None = None,
    leaks: Leaks | None = None,
) -> dict[str, Any]:
    """Everything on the page.

    Args:
        records: of any cells.
        published: figures of papers, to stand beside the measured ones.
        names: class names by the fingerprint of the data, for records that hold none; classes without a name are numbered.
        clips: of distilled sets, by cell id.
        real: real clips for comparison, by fingerprint.
        leaks: which test clips leaked into train, for the accuracy without them.
    """
    boards = leaderboards(records, published=published, leaks=leaks)
    every = [(board, row) for board in boards for row in board.rows]
    values_of = as_values(every, boards, over_datasets(boards), stats.interval)
    figures = values_of["rows"]
    first = {board.group: board for board in reversed(boards)}
    groups = list(dict.fromkeys(board.group for board in boards))
    optimal = {
        (point.board.title, point.row.label): bool(point.optimal) for points in by_bytes(boards) for point in points
    }
    rows: list[dict[str, Any]] = []
    for (board, row), values in zip(every, figures, strict=True):
        if row.reference and board is not first[board.group]:  # one figure for every budget: shown once
            continue
        rows.append(
            {
                "id": len(rows),
                "group": groups.index(board.group),
                **_row(board, row, values),
                "optimal": optimal.get((board.title, row.label), False),
                **_evidence(row, clips or {}),
            }
        )
    cells = sorted(records, key=lambda record: record.id)
    return {
        "summary": _summary(cells),
        "groups": [
            _group(group, [b for b in boards if b.group == group], cells, names or {}, real or {}) for group in groups
        ],
        "rows": rows,
        "comparisons": _comparisons(boards, groups),
        "mean_ranks": values_of["mean_ranks"],
        "probes": list(PROBES),
        "phases": list(_PHASES),
        "failures": _failures(cells),
        "environments": _environments(cells),
    }


def thinned(points: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most ``most`` entries, evenly spaced, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[place * (len(points) - 1) // (most - 1)] for place in range(most)]


# ----------------------------------------------------------------------------------------------------------------------
# Rows


def _row(board: Leaderboard, row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a leaderboard's row, without those that are empty or that its group has too."""
    left_out = {
        "leaderboard",
        "dataset",
        "fingerprint",
        "profile",
        "network",
        "geometry",
        "protocol",
        "judged_on",
        "remarks",
    }
    left_out |= {"chance", "majority", "baseline"} | (set(_BUDGET) if row.reference else set())
    kept = {name: value for name, value in values.items() if value is not None and name not in left_out}
    if row.reference:
        kept = {name: value for name, value in kept.items() if not name.startswith(("gain", "ipc", "setting"))}
    if row.reference:
        return kept | {"factors": None}
    place = {"amount": board.amount(), "clips_a_class": clips_a_class(board, row) if row.cells else ""}
    return kept | place | {"factors": _factors(board.setting, board.group.frames())}


def _factors(setting: str, frames: int) -> dict[str, Any] | None:
    try:
        found = parse(setting, frames)
    except BenchError:
        return None
    return {"n": found.n_syn, "r": found.n_real, "k": found.segments, "i": found.interpolation}


def _evidence(row: Row, clips: Clips) -> dict[str, Any]:
    """What stands behind the figures: confusion over all trainings, loss curves, seconds by phase, clips, tensors."""
    shown = next((clips[cell.id] for cell in row.cells if cell.id in clips), [])
    sets = [cell.set for cell in row.cells if cell.set is not None]
    return {
        "confusion": _confusion(row.cells),
        "curves": [curve for cell in row.cells if (curve := _curve(cell)) is not None],
        "seconds": {phase: mean for phase in _PHASES if (mean := _mean_seconds(row.cells, phase)) is not None},
        "clips": list(shown),
        "kind": sets[0].kind if sets else "",
        "tensors": {
            name: {"shape": list(entry.shape), "type": entry.dtype, "bytes": entry.bytes}
            for name, entry in (sets[0].tensors.items() if sets else ())
        },
        "cells": [cell.id[:12] for cell in row.cells],
        "tuned": any(cell.tuning is not None for cell in row.cells),
    }


def _confusion(cells: Sequence[Record]) -> list[list[int]]:
    """``[true][predicted]`` counts, summed over seeds and networks; empty if there are none or they do not match."""
    matrices = [entry.confusion for cell in cells for entry in cell.evaluations]
    if not matrices or any(len(matrix) != len(matrices[0]) for matrix in matrices):
        return []
    return [[sum(counts) for counts in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _curve(cell: Record) -> dict[str, Any] | None:
    """Steps and losses of a distillation, without those that are not finite."""
    pairs = [
        (step, loss)
        for step, loss in zip(cell.history.get("step", ()), cell.history.get("loss", ()), strict=False)
        if step is not None and loss is not None and math.isfinite(loss)
    ]
    if len(pairs) < 2:
        return None
    kept = thinned(pairs)
    return {"seed": cell.cell.seed, "step": [step for step, _ in kept], "loss": [loss for _, loss in kept]}


def _mean_seconds(cells: Sequence[Record], phase: str) -> float | None:
    found = [cell.costs[phase].wall_seconds for cell in cells if phase in cell.costs]
    return round(sum(found) / len(found), 3) if found else None


def _comparisons(boards: Sequence[Leaderboard], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The tests of all pairs of each leaderboard that has any: labels, the best first, and `PairedTest` by their places."""
    found = []
    for board in boards:
        places = sorted({place for test in board.tests for place in (test.first, test.second)})
        figures = [(board.rows[place].label, board.rows[place].method) for place in places]
        tests = [
            [places.index(t.first), places.index(t.second), _short(t.difference), _short(t.p), _short(t.corrected)]
            for t in board.tests
        ]
        if tests:
            found.append(
                {
                    "group": groups.index(board.group),
                    "amount": board.amount(),
                    "setting": board.setting,
                    "setting_label": setting_label(board.setting, board.group.frames()),
                    "rows": [{"label": label, "method": method} for label, method in figures],
                    "tests": tests,
                }
            )
    return found


def _short(value: float) -> float:
    return float(f"{value:.4g}")


# ----------------------------------------------------------------------------------------------------------------------
# What rows have in common


def _group(
    group: Group,
    boards: Sequence[Leaderboard],
    cells: Sequence[Record],
    names: Mapping[str, Sequence[str]],
    real: Clips,
) -> dict[str, Any]:
    members = [
        cell for cell in cells if cell.cell.fingerprint == group.fingerprint and cell.cell.dataset == group.dataset
    ]
    finished = [cell for cell in members if cell.data]
    counts = max((len(entry.confusion) for cell in members for entry in cell.evaluations), default=0)
    recorded = next((cell.data["class_names"] for cell in finished if cell.data.get("class_names")), ())
    given = list(map(str, recorded or names.get(group.fingerprint, ())))
    left_out = {str(key): str(reason) for cell in members for key, reason in cell.data.get("left_out", [])}
    remarks: dict[str, list[str]] = defaultdict(list)
    for board in boards:
        for remark in board.remarks:
            remarks[remark].append(f"{board.amount()} {setting_label(board.setting, group.frames())}")
    return {
        "dataset": group.dataset,
        "fingerprint": group.fingerprint,
        "profile": group.profile,
        "network": group.judge(),
        "protocol": group.protocol,
        "judged_on": group.judged_on,
        "geometry": dict(group.geometry),
        "frames": group.frames(),
        "baseline": boards[0].baseline,
        "amounts": list(dict.fromkeys(board.amount() for board in sorted(boards, key=_amount_order))),
        "chance": next((board.chance for board in boards if board.chance is not None), None),
        "majority": next((board.majority for board in boards if board.majority is not None), None),
        "classes": given if len(given) == counts else [f"class {number}" for number in range(counts)],
        "train": next((cell.data.get("train") for cell in finished), None),
        "test": next((cell.data.get("test") for cell in finished), None),
        "digests": sorted({str(cell.data["digest"]) for cell in finished if cell.data.get("digest")}),
        "left_out": [{"key": key, "reason": reason} for key, reason in sorted(left_out.items())],
        "remarks": [
            {"text": text, "of": [] if len(where) == len(boards) else where} for text, where in sorted(remarks.items())
        ],
        "real": list(real.get(group.fingerprint, ())),
    }


def _amount_order(board: Leaderboard) -> tuple[int, int]:
    """Clips before bytes, each from few to many."""
    return board.budget or 0, board.ipc or 0


def _summary(cells: Sequence[Record]) -> dict[str, Any]:
    seconds = sum(cost.wall_seconds for cell in cells for cost in cell.costs.values() if not cost.shared)
    dates = sorted(str(cell.provenance["ended"])[:10] for cell in cells if cell.provenance.get("ended"))
    return {
        "cells": len(cells),
        "finished": sum(cell.status == "ok" for cell in cells),
        "methods": len({cell.cell.method for cell in cells}),
        "datasets": len({cell.cell.dataset for cell in cells}),
        "trainings": sum(len(cell.evaluations) for cell in cells),
        "seconds": round(seconds, 1),
        "first": dates[0] if dates else "",
        "last": dates[-1] if dates else "",
    }


def _failures(cells: Iterable[Record]) -> list[dict[str, str]]:
    """Every cell that did not finish, with the reason."""
    return [
        {
            "cell": cell.id[:12],
            "title": cell.cell.title(),
            "method": cell.cell.method,
            "dataset": cell.cell.dataset,
            "status": cell.status,
            "reason": cell.reason,
        }
        for cell in sorted(cells, key=lambda cell: (cell.status, cell.cell.title()))
        if cell.status != "ok"
    ]


def _environments(cells: Iterable[Record]) -> list[dict[str, Any]]:
    """The distinct versions and machines behind the figures, the most used first."""
    counts: Counter[str] = Counter()
    for cell in cells:
        if cell.provenance:
            of_cell = {"method", "dataset", "network", "protocol", "planned_flops", "started", "ended"}
            shared = {name: value for name, value in cell.provenance.items() if name not in of_cell}
            counts[json.dumps(shared, sort_keys=True, default=str)] += 1
    return [
        {"cells": count, **json.loads(text)}
        for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
