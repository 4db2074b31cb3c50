"""What a record says must agree with itself: whatever follows from something else in it is derived again and compared."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.api import Evaluation
from bench.core import bitstrings

Body = Mapping[str, Any]
"""A record or a part of it as JSON holds it, of the right types."""

# No figure reaches these. Sums and squares of what stays below them are finite.
_MOST_SECONDS = 1e12
_MOST_COUNT = 2**63
_MOST_VALUE = 1e100

# No record is nested deeper. Whatever walks through one has room.
_DEEPEST = 20
_NESTED = (dict, list, tuple)

LABELS = ("labels", "inner.labels")
"""Where learned or soft labels stand among the tensors of a set: plain, and under a storage codec."""

_ITEM_BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
    "complex64": 8, "complex128": 16,
}  # fmt: skip


def contradiction(body: Body, evaluations: Sequence[Evaluation], artefact: str) -> str | None:
    """The first thing in which a record contradicts itself, as a clause; None if there is none.

    Args:
        body: the record's fields as plain values of the right types.
        evaluations: those of the record.
        artefact: the name that its set has if it is stored.
    """
    return next(
        itertools.chain(
            _of_depth(body),
            _of_set(body["set"], body["cell"], artefact),
            _of_data(body["data"]),
            _of_evaluations(evaluations, body["data"]),
            _of_motion(body.get("motion"), body["data"]),
            _of_costs(body["costs"], body["data"].get("upstream", {})),
            _of_history(body["history"]),
        ),
        None,
    )


def derived(evaluation: Evaluation) -> dict[str, Any]:
    """What follows from an evaluation's counts, for people who open the file."""
    confusion = evaluation.confusion
    return {
        "accuracy": evaluation.accuracy(),
        "selection_inflation": evaluation.selection_inflation(),
        "per_class": [row[label] / max(1, sum(row)) for label, row in enumerate(confusion)],
    }


def _of_depth(body: Body) -> Iterator[str]:
    for name in ("data", "provenance", "tuning"):
        if _is_deeper(body.get(name), _DEEPEST):
            yield f"its {name} is nested deeper than {_DEEPEST} levels"


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, _NESTED):
        return False
    return not levels or any(
        _is_deeper(part, levels - 1) for part in (value.values() if isinstance(value, dict) else value)
    )


def _of_set(stored: Body | None, cell: Body, artefact: str) -> Iterator[str]:
    if stored is None:
        return
    numbers = {name: math.prod(tensor["shape"]) for name, tensor in stored["tensors"].items()}
    for name, tensor in stored["tensors"].items():
        size = _ITEM_BYTES.get(tensor["dtype"])
        if min(tensor["shape"], default=0) < 0 or max(numbers[name], abs(tensor["bytes"])) >= _MOST_COUNT:
            yield f"tensor '{name}' has an impossible size"
        if size is not None and tensor["bytes"] != size * numbers[name]:
            yield (
                f"tensor '{name}' is said to have {tensor['bytes']:,} bytes; "
                f"its shape and type come to {size * numbers[name]:,}"
            )
    sums = {
        "storage_bytes": sum(tensor["bytes"] for tensor in stored["tensors"].values()),
        "storage_bytes_fp32": 4 * sum(numbers.values()),
    }
    for name, value in sums.items():
        if stored[name] != value:
            yield f"{name} is {stored[name]:,}; its tensors come to {value:,}"
    if not 0 < stored["clips"] < _MOST_COUNT:
        yield f"its set has {stored['clips']} clips"
    labels = next((stored["tensors"][name] for name in LABELS if name in stored["tensors"]), None)
    if labels is not None and labels["shape"] and labels["shape"][0] != stored["clips"]:
        yield f"its set has {stored['clips']} clips and labels of {labels['shape'][0]}"
    if not stored["kind"]:
        yield "its set is of no kind"
    if stored["artefact"] not in (None, artefact):
        yield "its set is named after another cell"
    budget = cell.get("budget")
    if budget is not None and stored["storage_bytes"] > budget:
        yield f"its set takes {stored['storage_bytes']:,} bytes of a budget of {budget:,}"


def _of_data(data: Body) -> Iterator[str]:
    for name in ("classes", "train", "test"):
        if not 0 <= data.get(name, 0) < _MOST_COUNT:
            yield f"data.{name} is {data[name]}"
    names = data.get("class_names")
    if names is not None and "classes" in data and len(names) != data["classes"]:
        yield f"data.class_names has {len(names)} names for {data['classes']} classes"
    if re.fullmatch("[0-9a-f]{64}", data.get("test_keys_digest", "0" * 64)) is None:
        yield "data.test_keys_digest is no digest"
    for name, loss in data.get("storage_loss", {}).items():
        if loss is not None and not 0 <= loss < _MOST_VALUE:
            yield f"data.storage_loss.{name} is {loss}"


def _of_evaluations(evaluations: Sequence[Evaluation], data: Body) -> Iterator[str]:
    numbers = [evaluation.network for evaluation in evaluations]
    if len(set(numbers)) < len(numbers) or min(numbers, default=0) < 0:
        yield f"its networks are numbered {', '.join(map(str, numbers))}"
    per_class = None
    for number, evaluation in enumerate(evaluations):
        where = f"evaluations[{number}]"
        for clause in _of_confusion(evaluation, data):
            yield f"{where}: {clause}"
        rows = [sum(row) for row in evaluation.confusion]
        if per_class not in (None, rows):
            yield f"{where}: its test clips are not those of the network before it"
        per_class = rows
        for clause in _of_network(evaluation):
            yield f"{where}: {clause}"


def _of_confusion(evaluation: Evaluation, data: Body) -> Iterator[str]:
    confusion = evaluation.confusion
    if any(len(row) != len(confusion) for row in confusion):
        yield "its confusion matrix is not square"
        return
    if "classes" in data and len(confusion) != data["classes"]:
        yield f"its confusion matrix has {len(confusion)} classes, the data {data['classes']}"
    if not 0 <= min(map(min, confusion), default=0) <= max(map(max, confusion), default=0) < _MOST_COUNT:
        yield "its confusion matrix holds an impossible count"
    tested, test = evaluation.tested(), data.get("test", evaluation.tested())
    if tested % test if test else tested:  # a protocol may test each clip several times
        yield f"its confusion matrix counts {tested:,} clips, the data has {test:,} to test on"


def _of_network(evaluation: Evaluation) -> Iterator[str]:
    tested, correct = evaluation.tested(), evaluation.correct()
    if evaluation.correct_clips and _flagged(evaluation.correct_clips, tested) != correct:
        yield "its test clips are not the ones that its confusion matrix counts"
    counts = {
        "top5": evaluation.top5,
        "frozen_trained": evaluation.frozen_trained,
        "frozen_both": evaluation.frozen_both,
        **{f"probes.{name}": count for name, count in evaluation.probes.items()},
        **{f"checkpoints[{place}]": count for place, count in enumerate(evaluation.checkpoints)},
    }
    for name, count in counts.items():
        if count is not None and not 0 <= count <= tested:
            yield f"{name} is {count:,} of {tested:,} test clips"
    if evaluation.top5 is not None and evaluation.top5 < correct:
        yield f"top5 is {evaluation.top5:,}, though {correct:,} are correct"
    if evaluation.checkpoints and evaluation.checkpoints[-1] != correct:
        yield f"its last checkpoint has {evaluation.checkpoints[-1]:,} correct, its confusion matrix {correct:,}"
    if not 0 <= evaluation.train_accuracy <= 1:
        yield f"train_accuracy is {evaluation.train_accuracy}"
    if not 0 <= evaluation.updates < _MOST_COUNT:
        yield f"updates is {evaluation.updates}"
    if evaluation.loss is not None and not abs(evaluation.loss) < _MOST_VALUE:
        yield f"loss is {evaluation.loss}"


def _flagged(clips: str, tested: int) -> int | None:
    """How many clips a text of digits says are correct; None if it is no such text."""
    try:
        return bitstrings.count(clips, tested)
    except ValueError:
        return None


def _of_motion(motion: Body | None, data: Body) -> Iterator[str]:
    if motion is None:
        return
    classes = data.get("classes", len(motion["set"]))
    for name in ("set", "real"):
        values = motion[name]
        if len(values) != classes:
            yield f"motion.{name} has {len(values)} figures for {classes} classes"
        if not all(value is None or 0 <= value < _MOST_VALUE for value in values):
            yield f"motion.{name} holds an impossible figure"


def _of_costs(costs: Mapping[str, Body], upstream: Mapping[str, Body]) -> Iterator[str]:
    parts = {f"costs.{name}": cost for name, cost in costs.items()}
    parts |= {f"data.upstream.{name}": cost for name, cost in upstream.items()}
    for name, cost in parts.items():
        for field in ("wall_seconds", "device_seconds"):
            if not 0 <= cost[field] < _MOST_SECONDS:
                yield f"{name}.{field} is {cost[field]}"
        for field in ("peak_device_bytes", "peak_host_bytes", "stored_bytes"):
            if not 0 <= cost.get(field, 0) < _MOST_COUNT:
                yield f"{name}.{field} is {cost[field]}"
    if upstream and "upstream" in costs:
        for field in ("wall_seconds", "device_seconds", "stored_bytes"):
            whole = math.fsum(cost.get(field, 0) for cost in upstream.values())
            if not math.isclose(costs["upstream"].get(field, 0), whole, rel_tol=1e-9, abs_tol=1e-6):
                yield f"costs.upstream.{field} is {costs['upstream'].get(field, 0)}; its parts come to {whole}"


def _of_history(history: Mapping[str, Sequence[float | None]]) -> Iterator[str]:
    lengths = {name: len(values) for name, values in history.items()}
    if len(set(lengths.values())) > 1:
        yield f"the lists of its history differ in length: {', '.join(f'{n} {size}' for n, size in lengths.items())}"
