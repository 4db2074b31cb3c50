"""What all code of a process shares: threads, flags, variables, functions that anyone may replace. What a cell changes of it is
said in its record; a cell has its process for itself, so no other cell meets the change."""

from __future__ import annotations

import builtins
import functools
import gc
import math
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch

from bench.core.source import is_of_the_suite

State = Mapping[str, Any]
"""What is shared, by what it is called."""

_MOST = 12
_BY_TORCH = ("torch.manual_seed", "torch.Storage")  # it replaces these itself, as it loads its parts
_LIBRARIES = (torch, torch.nn, torch.nn.functional, torch.optim, torch.autograd, torch.random, np, np.random, np.linalg)
_CLASSES = (torch.Tensor, torch.Generator, torch.nn.Module)
_STANDARD = (builtins, math, os, random, time)


def look() -> State:
    """What this process shares now."""
    return {
        **{name: read() for name, read in _FLAGS.items()},
        "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "members": {owner: dict(vars(owner)) for owner in _owners()},
        "threads": set(threading.enumerate()),
    }


def changes(before: State, after: State) -> tuple[str, ...]:
    """What has changed, a few words each, without values that name a folder or a user."""
    flags = [
        f"{name}: {before[name]} -> {after[name]}" for name in _FLAGS if name in before and before[name] != after[name]
    ]
    folder = ["the working folder"] if before["folder"] != after["folder"] else []
    variables = [f"the variable {name}" for name in sorted(_differing(before["environment"], after["environment"]))]
    handlers = [f"the handler of {signal.Signals(n).name}" for n in _differing(before["signals"], after["signals"])]
    functions = sorted(
        _name(owner, key)
        for owner, members in before["members"].items()
        for key in _replaced(owner, members, after["members"].get(owner, members))
        if _name(owner, key) not in _BY_TORCH
    )
    left = [thread.name for thread in after["threads"] - before["threads"] if not thread.daemon]
    found = [
        *(flag for flag in flags if not flag.startswith("folder")), *folder, *variables, *handlers,
        *(f"{name} replaced" for name in functions),
        *(f"a thread left running: {name}" for name in sorted(left)),
        *(f"a process left running: {child.name}" for child in multiprocessing.active_children()),
    ]  # fmt: skip
    return (*found[:_MOST], f"{len(found) - _MOST} more") if len(found) > _MOST else tuple(found)


def _replaced(owner: ModuleType | type, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The members of a module or class that are others now: functions and classes, and of the suite's modules whatever else."""
    for key, value in after.items():
        if key not in before:
            if isinstance(owner, type) and hasattr(owner.__base__, key) and not key.startswith("__"):
                yield key  # in the place of the one that it inherits
        elif before[key] is not value and (callable(value) or callable(before[key]) or is_of_the_suite(_home(owner))):
            yield key


def _home(owner: ModuleType | type) -> str:
    return owner.__module__ if isinstance(owner, type) else owner.__name__


def _name(owner: ModuleType | type, key: str) -> str:
    return f"{_home(owner)}.{owner.__name__}.{key}" if isinstance(owner, type) else f"{owner.__name__}.{key}"


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[Any]:
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _owners() -> Iterator[ModuleType | type]:
    """Where everything lies that the suite and what it stands on call, and that can be replaced by another."""
    yield from (*_LIBRARIES, *_STANDARD, *_CLASSES)
    for name, module in list(sys.modules.items()):
        if is_of_the_suite(name):
            yield module
            yield from (
                value for value in vars(module).values() if isinstance(value, type) and value.__module__ == name
            )


def _umask() -> str:
    mask = os.umask(0)
    os.umask(mask)
    return f"{mask:03o}"


def _flushes_denormals() -> bool:
    return not bool(torch.tensor([1e-40]).mul(1.0).ne(0).any())


_FLAGS: Mapping[str, Callable[[], Any]] = {
    "threads of torch": torch.get_num_threads,
    "threads between operations of torch": torch.get_num_interop_threads,
    "default type of numbers": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "oneDNN": torch._C._get_mkldnn_enabled,
    "cuDNN": lambda: torch.backends.cudnn.enabled,
    "cuDNN's benchmark": lambda: torch.backends.cudnn.benchmark,
    "cuDNN's determinism": lambda: torch.backends.cudnn.deterministic,
    "TF32 in convolutions": lambda: torch.backends.cudnn.allow_tf32,
    "precision of matrix products": torch.get_float32_matmul_precision,
    "gradients": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "checks for anomalies": torch.is_anomaly_enabled,
    "autocast": functools.partial(torch.is_autocast_enabled, "cpu"),
    "denormal numbers flushed": _flushes_denormals,
    "numpy's handling of errors": lambda: str(np.geterr()),
    "folder": os.getcwd,
    "umask": _umask,
    "search path of modules": lambda: tuple(sys.path),
    "limit of recursion": sys.getrecursionlimit,
    "garbage collection": gc.isenabled,
}
