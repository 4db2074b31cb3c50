"""How users write a dataset: ``name``, ``name[option=value,...]`` or ``name:argument``."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from bench.api import Dataset
from bench.core import config, paths
from bench.core.errors import BenchError
from bench.plugins import Registries

_FORM = re.compile(r"(?P<name>[A-Za-z0-9_-]+)(?:\[(?P<options>[^\]]*)\])?(?::(?P<argument>.+))?")


def dataset_name(text: str) -> str | None:
    """The name in what a user wrote; None if that cannot be read."""
    match = _FORM.fullmatch(text.strip())
    return None if match is None else match["name"]


def as_written(dataset: Dataset[Any], shown: str) -> str:
    """The name that tables show, with the options in brackets that are not the defaults: ``shapes-mixed[train=4]``.

    Args:
        dataset: the dataset.
        shown: its name in tables (`ClipIndex`).
    """
    values = [(field, getattr(dataset.options, field.name)) for field in dataclasses.fields(dataset.options)]
    given = [f"{field.name}={_as_typed(value)}" for field, value in values if value != field.default]
    if not given:
        return shown
    name = dataset.name if shown.startswith(dataset.name) else shown
    return f"{name}[{','.join(given)}]{shown.removeprefix(name)}"


def _as_typed(value: config.Value) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def parse_dataset(text: str, registries: Registries, root: str | None = None) -> Dataset[Any]:
    """The dataset that ``text`` names, looked for below ``root`` (default: see `bench.core.paths.data_root`).

    Raises:
        BenchError: unknown name, malformed text, unknown or ill-typed options, argument missing or not wanted.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise BenchError(f"--datasets: cannot read '{text}'; write name, name[option=value,...] or folder:PATH")
    dataset = registries.datasets.get(match["name"])
    argument = match["argument"] or ""
    if dataset.takes_argument and not argument:
        raise BenchError(f"--datasets: '{dataset.name}' needs an argument: {dataset.name}:PATH")
    if argument and not dataset.takes_argument:
        raise BenchError(f"--datasets: '{dataset.name}' takes no argument after a colon")
    values: dict[str, config.Value] = {}
    for part in filter(None, (match["options"] or "").split(",")):
        option, equals, value = part.partition("=")
        if not equals:
            raise BenchError(f"--datasets: '{part}' in '{text}' is not option=value")
        if option.strip() in values:
            raise BenchError(f"--datasets: '{option.strip()}' is given twice in '{text}'")
        values[option.strip()] = value.strip()
    options: Any = config.build(dataset.Config, values, f"--datasets {dataset.name}")
    return dataset(options, str(paths.data_root(dataset.name, root)), argument)
