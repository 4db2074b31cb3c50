"""The number formats that networks can compute in, and whether a device has them; no torch until a device is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, get_args

from bench.core.errors import BenchError

Precision = Literal["float32", "tf32", "bf16", "bf16-real"]

FULL: Precision = "float32"

PRECISIONS: dict[Precision, str] = {
    "float32": "IEEE single precision everywhere, also in a GPU's convolutions",
    "tf32": "products of 10-bit mantissas, sums in single precision; CUDA from compute capability 8.0",
    "bf16": "convolutions and linear layers in bfloat16, forward and backward; parameters, sets and losses in float32",
    "bf16-real": "bfloat16 only where distilling needs no gradient, such as DM's real clips; judged in float32",
}


def parse_precision(text: str) -> Precision:
    """The precision of that name.

    Raises:
        BenchError: unknown name.
    """
    for name in get_args(Precision):
        if text == name:
            precision: Precision = name
            return precision
    raise BenchError(f"--precision: unknown precision '{text}' (valid: {', '.join(PRECISIONS)})")


def require(precision: Precision, device: str) -> None:
    """Refuses a precision that the device lacks, or could only imitate slowly.

    Args:
        precision: what was asked for.
        device: ``cpu``, ``cuda`` or ``cuda:N``, which exists.

    Raises:
        BenchError: the message says what is possible there.
    """
    import torch

    if precision == FULL:
        return
    if device == "cpu":
        if precision == "tf32":
            raise BenchError("--precision tf32: a CPU has no TF32 (valid there: float32, bf16, bf16-real)")
        if not any(_cpu_has(feature) for feature in ("avx512_bf16", "amx_tile")):
            raise BenchError(f"--precision {precision}: this CPU has neither AVX512-BF16 nor AMX (valid here: float32)")
    elif torch.cuda.get_device_capability(device) < (8, 0):
        raise BenchError(
            f"--precision {precision}: {device} is older than compute capability 8.0 (valid here: float32)"
        )


def _cpu_has(feature: str) -> bool:
    """Whether PyTorch says so; one that does not know the feature does not use it either."""
    import torch

    tells = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return tells is not None and bool(tells())


@contextlib.contextmanager
def computing(precision: Precision) -> Iterator[None]:
    """Switches TF32 on for ``tf32`` and off for all others while inside; PyTorch's convolutions use it unasked."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
