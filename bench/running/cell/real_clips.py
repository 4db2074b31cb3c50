"""The real clips of a cell: those that it learns from, and those that networks are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.api import Split
from bench.core.errors import BenchError
from bench.core.reporter import Reporter
from bench.data.clip_store import ClipStore, open_or_build
from bench.data.pixels import SplitClips
from bench.results import test_clips
from bench.running.cell.attempt import Attempt
from bench.running.cell.context import Context
from bench.running.plan.plan import PlannedCell


@dataclass(frozen=True)
class RealClips:
    """The decoded clips of a cell.

    Attributes:
        store: all of them.
        split: the ones that a method may see: ``train``, or ``fit`` where the validation part judges.
        test: the ones that networks are tested on.
    """

    store: ClipStore
    split: Split
    test: SplitClips


def open_real(attempt: Attempt) -> RealClips:
    """The clips of a cell.

    Raises:
        BenchError: there is none to test on, or the data cannot be used.
    """
    store = open_store(attempt.planned, attempt.context, attempt.reporter)
    judged_on = attempt.cell.judged_on
    test = SplitClips(store, judged_on, attempt.device)
    if len(test) == 0:
        raise BenchError(f"no {judged_on} clip: every class needs two groups of training clips for a validation part")
    return RealClips(store, "train" if judged_on == "test" else "fit", test)


def describe(attempt: Attempt, real: RealClips) -> dict[str, Any]:
    """What a record says of its clips (`Record.data`); the names of the test clips are kept beside the records."""
    store = real.store
    return {
        "classes": len(store.classes),
        "class_names": list(store.classes),
        "train": len(store.positions(real.split)),
        "test": len(real.test),
        "digest": store.digest,
        "test_keys_digest": test_clips.keep(attempt.context.out, [store.keys[place] for place in real.test.positions]),
        "left_out": [list(clip_and_reason) for clip_and_reason in store.left_out],
        "notes": list(attempt.planned.index.notes),
        **attempt.planned.told(),
    }


def open_store(planned: PlannedCell, context: Context, reporter: Reporter) -> ClipStore:
    """The decoded clips of a planned cell; decodes them now if the cache has none."""
    return open_or_build(
        planned.dataset,
        planned.index,
        planned.geometry,
        context.cache,
        context.workers,
        lambda done, total: reporter.step("data", done, total, None),
        reporter.log,
    )
