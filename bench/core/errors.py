"""Errors that a user can mend, as opposed to faults of the suite."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, final

P = ParamSpec("P")
T = TypeVar("T")


_WORD = 300
_SENTENCE = 5_000
_MOST_SHOWN = 20


class BenchError(Exception):
    """Bad input: one sentence that says what, where, and which values are valid. Ends the command with exit code 2.

    Words of more than 300 characters, which are what was put in, are shown by their ends.
    """

    def __init__(self, sentence: str = "") -> None:
        super().__init__(_in_short(sentence))


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
        sentences: one for each; of many, the first are shown.

    Attributes:
        count: how many there are.
        sentences: those that are shown.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__()
        shown = [_in_short(sentence) for sentence in sentences[:_MOST_SHOWN]]
        if len(sentences) > _MOST_SHOWN:
            shown.append(f"and {len(sentences) - _MOST_SHOWN:,} more")
        self.count = len(sentences)
        self.sentences = tuple(shown)
        self.args = ("\n".join([f"{self.count:,} mistakes:", *(f"- {sentence}" for sentence in shown)]),)


def _in_short(sentence: str) -> str:
    """The sentence with very long words, or itself, cut in the middle."""
    if len(sentence) <= _WORD:
        return sentence
    return _cut(re.sub(rf"\S{{{_WORD + 1},}}", lambda word: _cut(word[0], _WORD), sentence), _SENTENCE)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most // 3]}...({len(text):,} characters)...{text[-most // 3 :]}"


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
