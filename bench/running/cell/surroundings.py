"""What all code of a process shares: threads, flags, variables, functions that anyone may replace. What a cell changes of it is
said in its record; a cell has its process for itself, so no other cell meets the change."""

from __future__ import annotations

import functools
import multiprocessing
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from bench.core import members, process

_MOST = 12
_BY_TORCH = ("torch.manual_seed", "torch.Storage")  # it replaces these itself, as it loads its parts
_PARTS = re.compile(
    r"torch(\.(_C(\._nn)?$|_VF|_functorch|_tensor|amp|autograd|backends|fft|func|functional|linalg|nn|optim|overrides|random|special"
    r"|utils\.(checkpoint|data))(\.|$)|$)"
)
"""The modules of PyTorch that distilling and judging stand on: their functions, their classes and what these inherit from."""

_HOOKED = (sys.modules["torch.nn.modules.module"], sys.modules["torch.optim.optimizer"])
_WRAPPERS = torch.optim.Optimizer.profile_hook_step.__code__.co_consts


@dataclass(frozen=True)
class State:
    """What a process shares at one moment.

    Attributes:
        flags: values that are told when they have changed, by what they are called.
        things: others, by the words that tell that they have changed.
        limits: of the system.
        members: of modules and classes.
        threads: that run.
    """

    flags: Mapping[str, Any]
    things: Mapping[str, Any]
    limits: Mapping[str, float]
    members: members.Members
    threads: frozenset[threading.Thread]


def look(known: members.Members | None = None) -> State:
    """What this process shares now.

    Args:
        known: its members, if they have not changed since; None looks at them.
    """
    threads = frozenset(threading.enumerate())
    return State(_flags(), _things(), process.limits(), look_at_members() if known is None else known, threads)


@functools.cache
def members_at_start() -> members.Members:
    """The members when this was first called: by the server of worker processes, from which each of these inherits them."""
    return look_at_members()


def look_at_members() -> members.Members:
    """What can be replaced of the suite, of PyTorch, and of other modules that the suite uses."""
    return {**process.functions(), **members.members(_of_torch())}


def changes(before: State) -> tuple[str, ...]:
    """What has changed since, a few words each, without values that name a folder or a user."""
    now = _flags()
    left = [thread.name for thread in {*threading.enumerate()} - before.threads if not thread.daemon]
    found = [
        *(f"{name}: {old} -> {now[name]}" for name, old in before.flags.items() if now[name] != old),
        *process.differing(before.things, _things()),
        *process.lowered(before.limits),
        *(f"{name} replaced" for name in sorted(members.replaced(before.members, _is_of_torch))),
        *(f"a thread left running: {name}" for name in sorted(left)),
        *(f"a process left running: {child.name}" for child in multiprocessing.active_children()),
    ]
    return (*found[:_MOST], f"{len(found) - _MOST} more") if len(found) > _MOST else tuple(found)


def _of_torch() -> Iterator[members.Owner]:
    modules = [
        module for name, module in list(sys.modules.items()) if _PARTS.match(name) and type(module) is ModuleType
    ]
    kind_of_old_tensors = type(torch.FloatTensor)
    return (owner for owner in members.with_classes(modules) if type(owner) is not kind_of_old_tensors)


def _is_of_torch(name: str, value: object) -> bool:
    """Whether PyTorch itself has put this into its place: the first optimiser of a class wraps the class's ``step``."""
    return name in _BY_TORCH or (isinstance(value, FunctionType) and value.__code__ in _WRAPPERS)


def _flags() -> Mapping[str, Any]:
    return {**{name: _read(read) for name, read in _FLAGS.items()}, **process.flags()}


def _modes() -> list[Any]:
    """The modes of torch functions that are on, the innermost first."""
    return _get_current_function_mode_stack()[::-1]  # type: ignore[no-untyped-call,no-any-return]


def _read(flag: Callable[[], Any]) -> Any:
    try:
        return flag()
    except Exception as error:  # it stands on something that was replaced, or this PyTorch lacks it
        return f"unknown ({type(error).__name__})"


def _things() -> Mapping[str, Any]:
    hooks = {
        f"a hook in {module.__name__}.{name}": tuple(value.items())
        for module in _HOOKED
        for name, value in vars(module).items()
        if name.startswith("_global_") and isinstance(value, dict)
    }
    return {
        **process.settings(),
        **process.lasting(),
        **hooks,
        "a mode of torch functions left on": tuple(mode for mode in _modes() if not isinstance(mode, DeviceContext)),
        "a mode of dispatch left on": tuple(_get_current_dispatch_mode_stack()),
        "hooks for saved tensors left on": _read(lambda: torch._C._autograd._top_saved_tensors_default_hooks(True)),
    }


def _flushes_denormals() -> bool:
    return sys.float_info.min * 0.5 == 0.0  # no tensor: what a cell has left on or replaced would meet it


_FLAGS: Mapping[str, Callable[[], Any]] = {
    "threads of torch": torch.get_num_threads,
    "threads between operations of torch": torch.get_num_interop_threads,
    "default type of numbers": torch.get_default_dtype,
    "default device": lambda: next((str(mode.device) for mode in _modes() if isinstance(mode, DeviceContext)), "cpu"),
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
    "threads of gradients": torch._C._is_multithreading_enabled,
    "autocast": functools.partial(torch.is_autocast_enabled, "cpu"),
    "denormal numbers flushed": _flushes_denormals,
    "numpy's handling of errors": lambda: str(np.geterr()),
}
