"""The control of a learned method: the set that it starts from."""

from __future__ import annotations

from typing import Any

from bench.api import Method, Start
from bench.core import config
from bench.plugins import Registries


def start_of(method: Method[Any], registries: Registries) -> Start | None:
    """The method that makes a method's start, with all of its hyper-parameters; None if nothing is learned.

    Raises:
        BenchError: there is no such method, or it does not have these hyper-parameters.
    """
    start = method.start()
    if start is None:
        return None
    where = f"the start of {method.name}"
    built: Any = config.build(registries.methods.get(start.method).Config, start.values, where)
    return Start(start.method, config.as_dict(built))
