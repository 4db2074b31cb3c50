"""Accuracy without the test clips that leaked into the training split: which clips these are, and what is left. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from bench.api import Evaluation
from bench.core import bitstrings as bits
from bench.results.records import Record

UNKNOWN = "not known without the leaked clips: the record does not say which test clips were right (run it again with --resume always)"


@final
@dataclass(frozen=True)
class Leaks:
    """What is known of leaked test clips.

    Attributes:
        leaked: keys of test clips by the dataset's name; datasets that are not in it were not searched.
        tested: keys of the clips that evaluations tested, in order, by their digest in the records.
    """

    leaked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def clean(self, record: Record) -> tuple[bool, ...] | None:
        """For each clip that the record's evaluations tested whether it is no leak; None if that is not known."""
        if record.cell.dataset not in self.leaked:
            return None
        return self._clean.get((record.cell.dataset, str(record.data.get("test_keys_digest"))))

    @functools.cached_property
    def _clean(self) -> dict[tuple[str, str], tuple[bool, ...]]:
        return {
            (dataset, digest): tuple(key not in leaked for key in keys)
            for dataset, leaked in self.leaked.items()
            for digest, keys in self.tested.items()
        }


def accuracy_without(evaluation: Evaluation, clean: tuple[bool, ...]) -> float | None:
    """Share of the clean test clips that were classified correctly.

    Args:
        evaluation: one with a result for each clip, of one or of several passes over the clips.
        clean: which of the clips to count.

    Returns:
        None if there are no such results, they are of other clips, or no clip counts.
    """
    tested = evaluation.tested()
    if not evaluation.correct_clips or not any(clean) or tested % len(clean):
        return None
    correct = bits.unpack(evaluation.correct_clips, tested)
    passes = tested // len(clean)
    return sum(right and counts for right, counts in zip(correct, clean * passes, strict=True)) / (passes * sum(clean))
