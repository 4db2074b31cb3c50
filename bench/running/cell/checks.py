"""What a distilled set must hold to before it is kept."""

from __future__ import annotations

import torch

from bench.api import ClipShape, SyntheticSet
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.running.cell.costs import count_set


def check_budget(synthetic: SyntheticSet, budget: int | None) -> None:
    """Refuses a set that takes more bytes than it may, be it by one.

    Raises:
        BenchError: with both figures.
    """
    taken = count_set(synthetic, None).storage_bytes
    if budget is not None and taken > budget:
        raise BenchError(f"the set takes {taken:,} bytes; the budget is {budget:,} bytes")


def check_set(synthetic: SyntheticSet, classes: int, clip: ClipShape, ipc: int | None) -> None:
    """Refuses a set that breaks its contract, in a sentence that says how.

    Raises:
        BenchError: wrong labels, more clips than the budget, numbers that are not finite, or clips of the wrong shape.
    """
    labels, hard = synthetic.labels, synthetic.hard_labels()
    if len(synthetic) == 0:
        raise BenchError("the method returned an empty set")
    is_hard = labels.dim() == 1 and labels.dtype == torch.int64
    if not (is_hard or (labels.dim() == 2 and labels.is_floating_point())):
        raise BenchError(
            f"labels must be int64 of shape (N,), or float (N, classes); they are {labels.dtype} {tuple(labels.shape)}"
        )
    if taken := {"labels", "rate"} & set(synthetic.tensors()):
        raise BenchError(
            f"tensors() has a '{min(taken)}', the name under which a set's own are stored; call it something else"
        )
    if labels.dim() == 2 and labels.shape[1] != classes:
        raise BenchError(f"soft labels have {labels.shape[1]} columns for {classes} classes")
    if int(hard.min()) < 0 or int(hard.max()) >= classes:
        raise BenchError(f"labels must lie in 0..{classes - 1}; they reach from {int(hard.min())} to {int(hard.max())}")
    if ipc is not None and len(synthetic) > ipc * classes:
        raise BenchError(f"the set has {len(synthetic)} clips; the budget is {ipc} a class, {ipc * classes} in all")
    if ipc is not None and labels.dim() == 1 and (most := int(labels.bincount().max())) > ipc:
        raise BenchError(f"class {int(labels.bincount().argmax())} has {most} clips; the budget is {ipc} a class")
    for name, tensor in synthetic.stored().items():
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            raise BenchError(f"'{name}' holds numbers that are not finite (a learning rate that is too high diverges)")
    with torch.no_grad():
        rendered = synthetic.render(torch.zeros(1, dtype=torch.int64), generator("check"))
    if tuple(rendered.shape) != (1, *clip.dims()) or rendered.dtype != torch.float32:
        raise BenchError(
            f"render() gives {tuple(rendered.shape)} {rendered.dtype}; needed is (1, {', '.join(map(str, clip.dims()))}) float32"
        )
