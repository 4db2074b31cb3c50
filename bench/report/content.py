"""Turns records into the one JSON object that the report's page draws. Pure: reads no files and needs no torch."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.core.errors import BenchError
from bench.core.frame_order import PROBES
from bench.core.temporal import parse
from bench.results.records import Record
from bench.tables import columns
from bench.tables.by_bytes import by_bytes
from bench.tables.columns import Column, Line, clips_a_class, columns_of, legend_of
from bench.tables.leaderboard import leaderboards
from bench.tables.leaks import Leaks
from bench.tables.mean_ranks import over_datasets
from bench.tables.published import Reported
from bench.tables.raw import as_values
from bench.tables.rows import Group, Leaderboard, Row

Clips = Mapping[str, Sequence[Mapping[str, Any]]]
"""Some clips of each cell id: ``{"label": class index, "image": data URI of the frames side by side, "frames": T}``."""

MOST_POINTS = 150
"""The most points of a loss curve. More would not be visible."""

_PHASES = ("tune", "upstream", "distil", "evaluate", "probe")


def content(
    records: Sequence[Record],
    published: Sequence[Reported] = (),
    names: Mapping[str, Sequence[str]] | None = None,
    clips: Clips | None = None,
    real: Clips | None = None,
    leaks: Leaks | None = None,
) -> dict[str, Any]:
    """Everything on the page. For each of the ``columns``, a row has its text and its place when sorted by that column.

    Args:
        records: records of any cells.
        published: figures of papers, to show beside the measured ones.
        names: class names by the fingerprint of the data, for records without any. Classes without a name are numbered.
        clips: clips of distilled sets, by cell id.
        real: real clips for comparison, by fingerprint.
        leaks: which test clips leaked into train, for the accuracy without them.
    """
    boards = leaderboards(records, published=published, leaks=leaks)
    groups = list(dict.fromkeys(board.group for board in boards))
    every = [Line(board, row) for board in boards for row in board.rows]
    values = as_values(every, boards, over_datasets(boards))
    lines = [(line, raw) for line, raw in zip(every, values["rows"], strict=True) if _is_shown(line, boards)]
    leaderboard, probes = columns_of("page"), columns_of("page probes")
    shown = [*leaderboard, *(column for column in probes if column not in leaderboard)]
    cells_of_lines = _cells([line for line, _ in lines], shown)
    optimal = {(point.board.title, point.row.label) for points in by_bytes(boards) for point in points if point.optimal}
    cells = sorted(records, key=lambda record: record.id)
    return {
        "summary": _summary(cells),
        "groups": [
            _group(group, [b for b in boards if b.group == group], cells, names or {}, real or {}) for group in groups
        ],
        "columns": [
            {
                "key": column.key,
                "header": column.header.format(baseline=boards[0].baseline if boards else ""),
                "name": column.is_name,
                "leaderboard": column in leaderboard,
                "probes": column in probes,
            }
            for column in shown
        ],
        "legend": " ".join(legend_of(leaderboard, [line for line, _ in lines], "student")),
        "rows": [
            {
                "id": number,
                "group": groups.index(line.board.group),
                **_row(line, raw),
                "shown": cells_of_line,
                "optimal": (line.board.title, line.row.label) in optimal,
                **_evidence(line.row, clips or {}),
            }
            for number, ((line, raw), cells_of_line) in enumerate(zip(lines, cells_of_lines, strict=True))
        ],
        "comparisons": _comparisons(boards, groups),
        "mean_ranks": values["mean_ranks"],
        "probes": list(PROBES),
        "phases": list(_PHASES),
        "failures": _failures(cells),
        "environments": _environments(cells),
    }


def thinned(points: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most ``most`` points, evenly spaced, including the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[place * (len(points) - 1) // (most - 1)] for place in range(most)]


# ----------------------------------------------------------------------------------------------------------------------
# Rows


def _is_shown(line: Line, boards: Sequence[Leaderboard]) -> bool:
    """Whether the page shows a row. It shows references only once, because they have one figure for every budget."""
    return not line.row.reference or line.board is next(b for b in boards if b.group == line.board.group)


def _cells(lines: Sequence[Line], shown: Sequence[Column]) -> list[list[tuple[str, int | None]]]:
    """The text of each line in each column, and its place when sorted by that column; None sorts last."""
    by_column = []
    for column in shown:
        filled = [line if not (column.of_budget and line.row.reference) else None for line in lines]
        keys = [None if line is None else column.sort_key(line) for line in filled]
        texts = ["" if line is None else column.text(line) for line in filled]
        places = {key: place for place, key in enumerate(sorted({key for key in keys if key is not None}))}
        by_column.append([(text, places.get(key)) for text, key in zip(texts, keys, strict=True)])
    return [list(cells) for cells in zip(*by_column, strict=True)]


def _row(line: Line, values: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a leaderboard's row, except for those that are empty or also in its group."""
    board, row = line.board, line.row
    left_out = {name for c in columns.COLUMNS if c.shared or (c.of_budget and row.reference) for name in c.values}
    figures = {name: value for name, value in values.items() if value is not None and name not in left_out}
    if row.reference:
        return figures | {"factors": None}
    place = {"amount": board.amount(), "clips_a_class": clips_a_class(line) if row.cells else ""}
    return figures | place | {"factors": _factors(board.setting, board.group.frames())}


def _factors(setting: str, frames: int) -> dict[str, Any] | None:
    try:
        factors = parse(setting, frames)
    except BenchError:
        return None
    return {"n": factors.n_syn, "r": factors.n_real, "k": factors.segments, "i": factors.interpolation}


def _evidence(row: Row, clips: Clips) -> dict[str, Any]:
    """What the figures are based on: confusion over all trainings, loss curves, seconds by phase, clips, tensors."""
    shown = next((clips[cell.id] for cell in row.cells if cell.id in clips), [])
    sets = [cell.set for cell in row.cells if cell.set is not None]
    return {
        "confusion": _confusion(row.cells),
        "curves": [curve for cell in row.cells if (curve := _curve(cell)) is not None],
        "seconds": {phase: mean for phase in _PHASES if (mean := _mean_seconds(row.cells, phase)) is not None},
        "clips": list(shown),
        "kind": sets[0].kind if sets else "",
        "tensors": {
            name: {"shape": list(tensor.shape), "type": tensor.dtype, "bytes": tensor.bytes}
            for name, tensor in (sets[0].tensors.items() if sets else ())
        },
        "cells": [cell.id[:12] for cell in row.cells],
        "tuned": any(cell.tuning is not None for cell in row.cells),
    }


def _confusion(cells: Sequence[Record]) -> list[list[int]]:
    """``[true][predicted]`` counts, summed over seeds and networks; empty if there are none or their sizes differ."""
    matrices = [evaluation.confusion for cell in cells for evaluation in cell.evaluations]
    if not matrices or any(len(matrix) != len(matrices[0]) for matrix in matrices):
        return []
    return [[sum(counts) for counts in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _curve(cell: Record) -> dict[str, Any] | None:
    """Steps and finite losses of a distillation; None if there are fewer than two."""
    pairs = [
        (step, loss)
        for step, loss in zip(cell.history.get("step", ()), cell.history.get("loss", ()), strict=False)
        if step is not None and loss is not None and math.isfinite(loss)
    ]
    if len(pairs) < 2:
        return None
    points = thinned(pairs)
    return {"seed": cell.cell.seed, "step": [step for step, _ in points], "loss": [loss for _, loss in points]}


def _mean_seconds(cells: Sequence[Record], phase: str) -> float | None:
    seconds = [cell.costs[phase].wall_seconds for cell in cells if phase in cell.costs]
    return round(sum(seconds) / len(seconds), 3) if seconds else None


def _comparisons(boards: Sequence[Leaderboard], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The paired tests of each leaderboard that has any: row labels, the best first, and tests that refer to their places."""
    comparisons = []
    for board in boards:
        places = sorted({place for test in board.tests for place in (test.first, test.second)})
        figures = [(board.rows[place].label, board.rows[place].method) for place in places]
        tests = [
            [places.index(t.first), places.index(t.second), _short(t.difference), _short(t.p), _short(t.corrected)]
            for t in board.tests
        ]
        if tests:
            comparisons.append(
                {
                    "group": groups.index(board.group),
                    "amount": board.amount(),
                    "setting": board.setting,
                    "setting_label": board.setting_label(),
                    "rows": [{"label": label, "method": method} for label, method in figures],
                    "tests": tests,
                }
            )
    return comparisons


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
    counts = max((len(evaluation.confusion) for cell in members for evaluation in cell.evaluations), default=0)
    recorded = next((cell.data["class_names"] for cell in members if cell.data.get("class_names")), ())
    classes = list(map(str, recorded or names.get(group.fingerprint, ())))
    left_out = {str(key): str(reason) for cell in members for key, reason in cell.data.get("left_out", [])}
    remarks: dict[str, list[str]] = defaultdict(list)
    for board in boards:
        for remark in board.remarks:
            remarks[remark].append(f"{board.amount()} {board.setting_label()}")
    return {
        "dataset": group.dataset,
        "data": boards[0].data,
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
        "classes": classes if len(classes) == counts else [f"class {number}" for number in range(counts)],
        "train": next((cell.data["train"] for cell in members if "train" in cell.data), None),
        "test": next((cell.data["test"] for cell in members if "test" in cell.data), None),
        "digests": sorted({str(cell.data["digest"]) for cell in members if cell.data.get("digest")}),
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
    """Every cell that did not finish, and why."""
    return [
        {
            "cell": cell.id[:12],
            "title": cell.title(),
            "method": cell.cell.method,
            "dataset": cell.cell.dataset,
            "status": cell.status,
            "reason": cell.reason,
        }
        for cell in sorted(cells, key=lambda cell: (cell.status, cell.title()))
        if cell.status != "ok"
    ]


def _environments(cells: Iterable[Record]) -> list[dict[str, Any]]:
    """The versions and machines behind the figures, the most used first."""
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
