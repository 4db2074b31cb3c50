"""The hyper-parameters of a method at one point of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.api import Method
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
    """A method's hyper-parameters: its defaults, then matching presets from general to specific, then the user's.

    Raises:
        BenchError: unknown or ill-typed overrides, listed with the valid fields.
    """
    values: dict[str, Value] = {}
    matching = [preset for preset in method.presets if preset.matches(profile, dataset, ipc, setting)]
    for preset in sorted(matching, key=lambda preset: preset.specificity()):
        values |= preset.values
    built: Any = config.build(method.Config, {**values, **overrides}, f"--set {method.name}")
    return built
