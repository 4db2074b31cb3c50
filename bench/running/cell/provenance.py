"""Where a figure comes from: commit, versions, hardware. Never a path, a user's or a machine's name."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from bench.core.registry import Registry
from bench.core.version import __version__
from bench.plugins import Registries
from bench.running.plan.plan import PlannedCell

# Environment variables by which users choose instructions.
_SETTINGS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")

_PACKAGES = ("torch", "numpy", "scipy", "av", "pytorchvideo", "safetensors")


@functools.cache
def environment(device: str) -> dict[str, Any]:
    """Software and hardware of this process: the same for all its cells."""
    return {
        "bench": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "processors": [processor(device)],
        "vector": torch.backends.cpu.get_cpu_capability(),
        "onednn": _has_onednn(),
        "settings": _settings(),
    }


@functools.cache
def processor(device: str) -> str:
    """The kind of processor that a device is: one that rounds otherwise has another text.

    A GPU with its compute capability; a CPU with the vector instructions that PyTorch uses on it, and what was set by hand.
    """
    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"
    onednn = [] if _has_onednn() else ["no oneDNN"]
    by_hand = [f"{name}={value}" for name, value in _settings().items()]
    return ", ".join([_cpu_model(), torch.backends.cpu.get_cpu_capability(), *onednn, *by_hand])


def origins(planned: PlannedCell, registries: Registries) -> dict[str, str]:
    """Where each part of a cell comes from: a module, ``package version``, or the name of a ``--plugin`` file, without its folder.

    ``source`` is the digest of the method's source.
    """
    cell = planned.cell
    parts: tuple[tuple[str, Registry[Any], str], ...] = (
        ("method", registries.methods, cell.method),
        ("dataset", registries.datasets, planned.dataset.name),
        ("network", registries.networks, cell.network),
        ("protocol", registries.protocols, cell.protocol.partition("/")[0]),
    )
    known = [(kind, registry.origin(name).where) for kind, registry, name in parts if name in registry.names()]
    places = {kind: Path(where).name if where.endswith(".py") else where for kind, where in known}
    return {**places, "source": registries.methods.origin(cell.method).source}


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _settings() -> dict[str, str]:
    return {name: os.environ[name] for name in _SETTINGS if name in os.environ}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def commit() -> str | None:
    """The commit of the source tree as it was loaded, with ``+dirty`` if files differ from it; None if it is not a git checkout."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=10
    ).stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
