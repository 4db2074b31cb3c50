"""One computation's checkpoint: one file, replaced whole every so many seconds, told from those of others by its owner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from typing_extensions import override

from bench.api import Checkpoints
from bench.core.files import set_aside, sweep
from bench.core.upload import upload
from bench.results.artefacts import load_tensors, save_tensors

if TYPE_CHECKING:
    from bench.core.reporter import Reporter

CHECKPOINT_SECONDS = 20.0
"""The time between two checkpoints of a distillation or a training."""


def once(log: Callable[[str], None]) -> Callable[[str], None]:
    """Says each sentence only the first time."""
    said: set[str] = set()

    def say(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            log(sentence)

    return say


@final
class FileCheckpoints(Checkpoints):
    """Keeps the last state in one file.

    Args:
        path: the file.
        owner: what the state belongs to; a file of another owner is not resumed from.
        device: where resumed tensors go.
        reporter: its deadline makes a checkpoint due, and then stops the work.
        every: seconds between two checkpoints.
        about: plain JSON that is kept beside the state, such as the cost so far.
        log: told what goes wrong with the file, in the place of the reporter; each sentence once.
    """

    def __init__(
        self,
        path: Path,
        owner: str,
        device: torch.device,
        reporter: Reporter,
        every: float,
        about: Callable[[], Mapping[str, Any]],
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self.owner = owner
        self.device = device
        self.reporter = reporter
        self.every = every
        self.about = about
        self._last = time.monotonic()
        self._say = log or once(reporter.log)

    @override
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Due every so many seconds, and when the time is up.

        Raises:
            OutOfTime: the time is up; the state is kept.
        """
        if self.reporter.is_late() or time.monotonic() - self._last >= self.every:
            tensors = state()
            try:
                save_tensors(self.path, tensors, {"cell": self.owner, "step": step, **self.about()})
            except OSError as error:
                self._say(f"cannot keep a checkpoint in {self.path} ({error.strerror}); going on without")
            self._last = time.monotonic()
        self.reporter.check_time()

    @override
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """A damaged file is set aside, and said so; what a killed process left half written is removed."""
        sweep(self.path)
        loaded = load_tensors(self.path)
        if loaded is None:
            if self.path.exists():
                self.reporter.log(
                    f"{self.path} is damaged, now {set_aside(self.path).name}; what it held is done again"
                )
            return None
        tensors, meta = loaded
        if meta.get("cell") != self.owner or not isinstance(meta.get("step"), int):
            return None
        return meta["step"], {name: upload(tensor, self.device) for name, tensor in tensors.items()}
