"""The hyper-parameters of a method at one point of the grid."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from bench.api import Method, Preset
from bench.core import config
from bench.core.config import Value


def resolve_config(
    method: type[Method[Any]],
    profile: str,
    dataset: str,
    ipc: int,
    setting: str,
    overrides: Mapping[str, Value],
) -> Any:
    """A method's hyper-parameters: its defaults, then lent values, then matching presets from general to specific, then the user's.

    Raises:
        BenchError: unknown or ill-typed overrides, listed with the valid fields.
    """
    own, lender = _own(method, profile, dataset, ipc, setting), _lender(method, profile, dataset, ipc, setting)
    lent = {} if lender is None else lender.values
    built: Any = config.build(method.Config, {**lent, **own, **overrides}, f"--set {method.name}")
    return built


def borrowed(
    method: type[Method[Any]],
    profile: str,
    dataset: str,
    ipc: int,
    setting: str,
    values: Mapping[str, Value],
    given: Collection[str] = (),
) -> str:
    """A sentence on the hyper-parameters that are those of another dataset or IPC; empty if there are none.

    Args:
        method, profile, dataset, ipc, setting: as `resolve_config` takes them.
        values: the hyper-parameters.
        given: names of those that the user chose.
    """
    lender = _lender(method, profile, dataset, ipc, setting)
    if lender is None:
        return ""
    own = _own(method, profile, dataset, ipc, setting)
    taken = [name for name in lender.values if name not in own and name not in given]
    same = [_written(name, values[name]) for name in taken if values[name] == lender.values[name]]
    if not same:
        return ""
    published = f"{', '.join(same)} {'was' if len(same) == 1 else 'were'} published for"
    return f"{published} {_place(lender.dataset or dataset, lender.ipc)}; for {_place(dataset, ipc)} nothing was"


def _own(method: type[Method[Any]], profile: str, dataset: str, ipc: int, setting: str) -> dict[str, Value]:
    """The values of the presets that match, the most specific last."""
    matching = [preset for preset in method.presets if preset.matches(profile, dataset, ipc, setting)]
    values: dict[str, Value] = {}
    for preset in sorted(matching, key=lambda preset: preset.specificity()):
        values |= preset.values
    return values


def _lender(method: type[Method[Any]], profile: str, dataset: str, ipc: int, setting: str) -> Preset | None:
    """The preset of another dataset or IPC whose values are taken: that of the nearest IPC, the first of several."""

    def distance(preset: Preset) -> float:
        return 0.0 if preset.ipc is None else abs(math.log(preset.ipc / ipc))

    lending = [preset for preset in method.presets if preset.lends]
    if any(preset.matches(profile, dataset, ipc, setting) for preset in lending):
        return None
    elsewhere = [p for p in lending if replace(p, dataset=None, ipc=None).matches(profile, dataset, ipc, setting)]
    return min(elsewhere, key=distance, default=None)


def _place(dataset: str, ipc: int | None) -> str:
    return dataset if ipc is None else f"{dataset} at IPC {ipc}"


def _written(name: str, value: Value) -> str:
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
