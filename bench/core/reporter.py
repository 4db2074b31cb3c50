"""How a running computation reports its progress, and learns that its time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.core.errors import OutOfTime


@dataclass
class Reporter:
    """Receives the progress of a running cell.

    Attributes:
        step: called with (phase, step, total, loss).
        log: called with a line for the user.
        deadline: after which the cell stops, by ``time.monotonic``, or None.
        late: what the error says then.
    """

    step: Callable[[str, int, int, float | None], None]
    log: Callable[[str], None]
    deadline: float | None = None
    late: str = "the run's time limit passed"

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def wait(self, message: str) -> None:
        """Says what is waited for.

        Raises:
            OutOfTime: the deadline has passed.
        """
        self.log(message)
        self.check_time()

    def check_time(self) -> None:
        """Raises:
        OutOfTime: the deadline has passed.
        """
        if self.is_late():
            raise OutOfTime(self.late)
