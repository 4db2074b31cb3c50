"""Questions that only the code of a part can answer. A plugin answers in a process of its own, and what it does there is a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bench.core.apart import Faulty
from bench.core.errors import BenchError
from bench.core.traces import fault
from bench.plugins import Registries

T = TypeVar("T")


def ask(registries: Registries, modules: frozenset[str], question: Callable[..., T], *args: Any) -> T:
    """What ``question(registries, *args)`` returns.

    Args:
        registries: all parts.
        modules: of the plugins that are asked; without any, the suite answers in this process.
        question, args: picklable, as is the answer.

    Raises:
        BenchError: the user made a mistake.
        Faulty: a part did something that its contract rules out.
    """
    if modules and registries.probes is not None:
        return registries.probes.ask(modules, question, *args)
    try:
        return question(registries, *args)
    except (BenchError, Faulty):
        raise
    except (Exception, SystemExit) as error:
        if registries.debug:
            raise
        raise Faulty(fault(error, modules)) from error
