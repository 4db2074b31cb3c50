"""How many network passes a cell takes."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any

from bench.api import Method, Protocol, Workload
from bench.core.errors import BenchError
from bench.core.frame_order import PROBES


@dataclass(frozen=True)
class Work:
    """Network passes of single clips that a cell takes, or the floating-point operations of these.

    Attributes:
        real: of learning, what does not depend on how much is stored: passes of real clips, training on them. If a method has
            upstream artefacts, they are this part.
        learned: of learning, what grows with the clips that are stored.
        judging: training and testing the protocol's networks, with the temporal probes if there are any.
    """

    real: float = 0.0
    learned: float = 0.0
    judging: float = 0.0

    def total(self) -> float:
        """All of it."""
        return self.real + self.learned + self.judging

    def times(self, learning: float, judging: float) -> Work:
        """Operations from passes: each part times what one clip takes in the network of its own."""
        return Work(self.real * learning, self.learned * learning, self.judging * judging)


def passes(method: Method[Any], work: Workload, protocol: type[Protocol], test: int, probes: bool = True) -> Work:
    """Clip passes of one cell; ``test`` is the number of clips that its networks are tested on, ``probes`` whether there are any.

    A method tells only how many there are in all; what is left of them without any stored clip is extrapolated from one and
    two clips a class.
    """
    learning = _passes(method, work)
    one, two = (_passes(method, replace(work, ipc=ipc)) for ipc in (1, 2))
    real = min(max(0.0, 2 * one - two), learning)
    in_set = work.classes * work.ipc if method.uses_ipc else work.train
    tested = test * work.views
    updates = protocol.recipe.updates(in_set)
    training = 3.0 * updates * min(in_set, protocol.recipe.batch) + tested + in_set
    frozen = training + tested if protocol.frozen_training else 0.0  # tested on clips as they are, and frozen
    judging = protocol.networks * (training + (len(PROBES) * tested + frozen if probes else 0.0))
    return Work(real, learning - real, judging)


def _passes(method: Method[Any], work: Workload) -> float:
    """What a method says of its passes.

    Raises:
        BenchError: it is no number of passes.
    """
    told: Any = method.clip_passes(work)
    if not isinstance(told, numbers.Real) or not 0 <= float(told) < math.inf:
        raise BenchError(f"clip_passes() gives {told!r:.80}; needed is a finite number, 0 or more")
    return float(told)
