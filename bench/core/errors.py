"""Errors that a user can mend, as opposed to faults of the suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, final

P = ParamSpec("P")
T = TypeVar("T")


class BenchError(Exception):
    """Bad input: one sentence that says what, where, and which values are valid. Ends the command with exit code 2."""


class DoesNotFit(BenchError):
    """A method cannot keep to the byte budget; the message says which one would do. The cell is skipped."""


class MissingData(BenchError):
    """A dataset is not where it was looked for; the message says where to get it and where to put it."""


class UnreadableClip(Exception):
    """One clip cannot be used (does not decode, empty, too short). It is reported and left out, never fatal."""


class OutOfTime(Exception):
    """The run's time limit passed while a cell was under way; its checkpoint is kept."""


class SeveralMistakes(BenchError):
    """More than one mistake in what a user asked for.

    Args:
        sentences: one for each.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join([f"{len(sentences)} mistakes:", *(f"- {sentence}" for sentence in sentences)]))
        self.sentences = tuple(sentences)


@final
class Mistakes:
    """Collects the errors of independent steps, so that the user hears of all of them at once."""

    def __init__(self) -> None:
        self._by_sentence: dict[str, BenchError] = {}

    def attempt(self, step: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """The result of a step, or None if it raised a mistake. `tell` reports that, the same sentence only once."""
        try:
            return step(*args, **options)
        except BenchError as error:
            self.add(error)
            return None

    def add(self, error: BenchError) -> None:
        """Adds a mistake, or several."""
        sentences = error.sentences if isinstance(error, SeveralMistakes) else ()
        for one in [BenchError(sentence) for sentence in sentences] or [error]:
            self._by_sentence.setdefault(str(one), one)

    def tell(self) -> None:
        """Raises what was collected, if anything.

        Raises:
            BenchError: the one mistake, or `SeveralMistakes`.
        """
        if len(self._by_sentence) == 1:
            raise next(iter(self._by_sentence.values()))
        if self._by_sentence:
            raise SeveralMistakes(tuple(self._by_sentence))
