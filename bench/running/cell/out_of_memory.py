"""Whether an error says that memory ran out: Python, numpy, PyTorch and what lies below it each have words of their own for it."""

from __future__ import annotations

import errno
import re

import torch

_WORDS = re.compile(
    r"out of memory|not enough memory|\bc(an't|annot|ould not) allocate|(unable|failed) to allocate|bad[ _]alloc(ation)?\b"
    r"|alloc(ation)?_failed|memory allocation .*failed|out_?of_?memory|MemoryAllocation",
    re.IGNORECASE,
)


def says_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, is of memory.

    PyTorch's allocator on a CPU, cuBLAS and cuDNN raise a plain ``RuntimeError``, so that only its words tell.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError) and _WORDS.search(str(error)):
        return True
    return error.__cause__ is not None and says_out_of_memory(error.__cause__)
