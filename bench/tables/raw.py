"""Leaderboards for programs: the figures as they are, one flat table as CSV, or JSON with the tests behind the ranks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.probes import PROBES
from bench.tables.critical import MeanRanks
from bench.tables.rows import Figures, Leaderboard, Row, setting_label
from bench.tables.stats import Estimator, Interval
from bench.tables.temporal import TemporalRow, temporal_row
from bench.tables.views import OverDatasets

_INTERVALS = ("accuracy", "top5", "gain")
_ENDS = ("", "_low", "_high", "_covers")
_COLUMNS = (
    "leaderboard", "dataset", "fingerprint", "profile", "network", "geometry", "protocol", "judged_on", "ipc", "budget", "setting",
    "setting_label", "method", "label", "config", "source", "reference", "status", "seeds", "networks", "trainings",
    *(f"{name}{end}" for name in _INTERVALS for end in _ENDS),
    "rank", "tied_with_best", "baseline", "share_of_full", "hlr", "ior", "lrs",
    "reported", "reported_std", "reported_metric", "reported_by", "reported_confidence", "reported_source", "deviation",
    "chance", "majority",
    "storage_bytes_min", "storage_bytes_max", "storage_bytes_fp32_min", "storage_bytes_fp32_max",
    "distil_seconds", "upstream_seconds", "upstream_shared", "tune_seconds", "tune_shared",
    "peak_device_bytes", "peak_host_bytes", "unfit",
    *(column for name in PROBES for column in (name, *(f"{name}_minus_accuracy{end}" for end in _ENDS))),
    *(f"{name}{end}" for name in ("temporal_gain", "temporal_gain_moving_test") for end in _ENDS),
    "motion_set", "motion_real", "notes", "remarks",
)  # fmt: skip

_SOME = ("distilled_with", *(f"accuracy_without_leaks{end}" for end in _ENDS), "leaked_left_out", "selection_inflation")


def as_csv(rows: Iterable[tuple[Leaderboard, Row]], estimator: Estimator) -> str:
    """One line a row: fractions, seconds and bytes, to twelve digits (the last ones depend on the machine); empty where there is none."""
    text = io.StringIO()
    lines = [_values(board, row, estimator) for board, row in rows]
    writer = csv.DictWriter(text, _columns(lines), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _flat(name, value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def as_json(
    rows: Iterable[tuple[Leaderboard, Row]],
    boards: Sequence[Leaderboard],
    over: Sequence[OverDatasets],
    estimator: Estimator,
) -> str:
    """`as_values` as text, an entry of its lists a line."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    lists = [
        f'"{name}": [' + ",".join(f"\n {encode(entry)}" for entry in entries) + "\n]"
        for name, entries in as_values(rows, boards, over, estimator).items()
    ]
    return "{" + ",\n".join(lists) + "}\n"


def as_values(
    rows: Iterable[tuple[Leaderboard, Row]],
    boards: Sequence[Leaderboard],
    over: Sequence[OverDatasets],
    estimator: Estimator,
) -> dict[str, list[dict[str, Any]]]:
    """Lists of ``rows`` (the columns of the CSV), ``tests`` (every pair of each leaderboard) and ``mean_ranks``."""
    lines = [_values(board, row, estimator) for board, row in rows]
    empty = dict.fromkeys(_columns(lines))
    return {
        "rows": [empty | line for line in lines],
        "tests": [test for board in boards for test in _tests(board)],
        "mean_ranks": [_mean_ranks(each.board, each.ranks) for each in over],
    }


def _columns(lines: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Those of all tables, and those of `_SOME` that some line has."""
    found = {name for line in lines for name in line}
    return _COLUMNS + tuple(name for name in _SOME if name in found)


def _flat(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=name == "config", ensure_ascii=False)
    return "; ".join(value) if isinstance(value, list) else value


def _values(board: Leaderboard, row: Row, estimator: Estimator) -> dict[str, Any]:
    group, probed = board.group, temporal_row(row, estimator)
    values: dict[str, Any] = {
        "leaderboard": board.title,
        "dataset": group.dataset,
        "fingerprint": group.fingerprint,
        "profile": group.profile,
        "network": group.network,
        "geometry": dict(group.geometry),
        "protocol": group.protocol,
        "judged_on": group.judged_on,
        "ipc": board.ipc,
        "budget": board.budget,
        "setting": board.setting,
        "setting_label": setting_label(board.setting, group.frames()),
        "method": row.method,
        "label": row.label,
        "config": None if row.config is None else dict(row.config),
        "source": row.source,
        "reference": row.reference,
        "status": row.status,
        "baseline": board.baseline,
        "chance": board.chance,
        "majority": board.majority,
        "notes": [*(note.text for note in row.notes), *probed.notes],
        "remarks": list(board.remarks),
    }
    if group.crosses():
        values["distilled_with"] = group.distilled_with
    return values if row.figures is None else values | _figures(row.figures) | _temporal(probed)


def _figures(figures: Figures) -> dict[str, Any]:
    values: dict[str, Any] = {
        "seeds": figures.seeds,
        "networks": figures.networks,
        "trainings": figures.trainings,
        "rank": figures.rank,
        "tied_with_best": None if figures.rank is None else figures.tied,
        "share_of_full": figures.share,
        "deviation": figures.deviation,
        "distil_seconds": figures.distil_seconds,
        "upstream_seconds": figures.upstream_seconds,
        "upstream_shared": figures.upstream_shared,
        "tune_seconds": figures.tune_seconds,
        "tune_shared": figures.tune_shared,
        "peak_device_bytes": figures.peak_device,
        "peak_host_bytes": figures.peak_host,
        "unfit": figures.unfit,
    }
    for name, found in zip(_INTERVALS, (figures.accuracy, figures.top5, figures.gain), strict=True):
        values |= _interval(name, found)
    if (scores := figures.relative) is not None:
        values |= {"hlr": scores.hlr, "ior": scores.ior, "lrs": scores.lrs}
    if (printed := figures.reported) is not None:
        values |= {"reported": printed.mean, "reported_std": printed.std, "reported_metric": printed.metric}
        values |= {"reported_by": printed.paper, "reported_confidence": printed.confidence}
        values |= {"reported_source": printed.source}
    values |= _interval("accuracy_without_leaks", figures.without_leaks)
    if figures.inflation is not None:
        values["selection_inflation"] = figures.inflation
    if figures.left_out is not None:
        values["leaked_left_out"] = figures.left_out
    for name, extent in (("storage_bytes", figures.stored), ("storage_bytes_fp32", figures.stored_fp32)):
        if extent is not None:
            values |= {f"{name}_min": extent.low, f"{name}_max": extent.high}
    return values


def _temporal(row: TemporalRow) -> dict[str, Any]:
    values: dict[str, Any] = {"motion_set": row.motion_set, "motion_real": row.motion_real}
    for name, probed in row.probes.items():
        values |= {name: probed.accuracy} | _interval(f"{name}_minus_accuracy", probed.difference)
    return values | _interval("temporal_gain", row.gain) | _interval("temporal_gain_moving_test", row.moving_gain)


def _interval(name: str, found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {}
    parts = (found.mean, found.low, found.high, found.covers)
    return {f"{name}{end}": part for end, part in zip(_ENDS, parts, strict=True)}


def _tests(board: Leaderboard) -> list[dict[str, Any]]:
    return [
        {
            "leaderboard": board.title,
            "first": board.rows[test.first].label,
            "second": board.rows[test.second].label,
            "difference": test.difference,
            "p": test.p,
            "p_holm": test.corrected,
            "significant": test.significant,
        }
        for test in board.tests
    ]


def _mean_ranks(board: Leaderboard, ranks: MeanRanks) -> dict[str, Any]:
    group = board.group
    return {
        "profile": group.profile,
        "network": group.network,
        **({"distilled_with": group.distilled_with} if group.crosses() else {}),
        "protocol": group.protocol,
        "judged_on": group.judged_on,
        "ipc": board.ipc,
        "budget": board.budget,
        "setting_label": setting_label(board.setting, group.frames()),
        "datasets": list(ranks.datasets),
        "mean_ranks": dict(ranks.ranks),
        "friedman_chi_squared": ranks.statistic,
        "friedman_p": ranks.p,
        "critical_difference": ranks.difference,
        "groups": [list(names) for names in ranks.groups()],
    }
