"""The shapes of a leaderboard: what its rows have in common, the rows, their figures and footnotes. Nothing is computed here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.temporal import parse
from bench.core.text import written as written_bytes
from bench.results.history import Objective
from bench.results.records import Record
from bench.tables.comparisons import PairedTest
from bench.tables.ddranking import RelativeScores
from bench.tables.published import Reported
from bench.tables.states import State
from bench.tables.stats import Interval

MISSING = "missing"
PARTIAL = "partial"


@final
@dataclass(frozen=True)
class Group:
    """What figures must have in common to be compared at all.

    ``network`` is the one that is trained on the sets, ``distilled_with`` the one that methods distilled them with.
    """

    dataset: str
    fingerprint: str
    profile: str
    network: str
    geometry: tuple[tuple[str, int], ...]
    protocol: str
    judged_on: str
    distilled_with: str

    def judge(self) -> str:
        """The network that is trained on the sets and, where they were distilled with another one, which."""
        return self.network + (f" (distilled with {self.distilled_with})" if self.crosses() else "")

    def crosses(self) -> bool:
        """Whether the sets were distilled with another network."""
        return self.network != self.distilled_with

    def frames(self) -> int:
        """T, the frames of a clip; 0 if the geometry does not say."""
        return dict(self.geometry).get("frames", 0)

    def context(self) -> list[str]:
        """What a title says of it behind data and budget; that the sets were judged on test clips goes without saying."""
        judged_on = [] if self.judged_on == "test" else [f"judged on {self.judged_on}"]
        return [self.profile, self.protocol, self.judge(), *judged_on]


@final
@dataclass(frozen=True)
class Note:
    """A footnote to one figure of a row; ``column`` is the key of its column."""

    column: str
    text: str


@final
@dataclass(frozen=True)
class Extent:
    """Smallest and largest value over the seeds, in bytes."""

    low: int
    high: int


@final
@dataclass(frozen=True)
class Figures:
    """What the finished cells of a row came to.

    Attributes:
        seeds, networks: distillation seeds (1 where nothing is random) and networks trained on each set, where none is missing.
        trainings: evaluations that there are; ``seeds * networks`` where none is missing.
        accuracy, top5: shares of test clips in [0, 1]. No mean is taken over a part of the seeds or networks: None where any
            is missing, top-5 also where it was not counted.
        rank: 1 + the number of methods that are significantly better, or None where there was no test.
        tied: whether it is the best mean or not distinguishable from it, by the same tests.
        share: accuracy divided by that of the reference, or None.
        gain: accuracy minus that of the baseline, paired by seed and network, or None.
        own_gain: accuracy minus that of the set it started from, paired likewise, or None: what learning added.
        objective: the loss that its method descends, at both ends of learning, means over the seeds; None where a seed has none.
        relative: the scores of DD-Ranking, or None.
        reported: a published figure for the same method, data, budget and network, or None.
        without_leaks: accuracy on the test clips that did not leak into train, or None where it is not known.
        left_out: how many test clips are leaked, or None where it is not known.
        inflation: what choosing the best checkpoint of the trained networks on the test clips would add to the accuracy: the
            best mean over the networks minus the last, averaged over the seeds; None where only the end was tested.
        stored, stored_fp32: bytes of the set as stored, and at four bytes a number.
        distil_seconds, upstream_seconds: wall time, mean over the seeds; None where a seed is missing or there was no such phase.
        upstream_shared: whether the upstream result serves several cells.
        tune_seconds, tune_shared: the same of the search for its hyper-parameters.
        peak_device, peak_host: most bytes over all phases and seeds; 0 without a GPU.
        unfit: trained networks that did not fit their set.
    """

    seeds: int
    networks: int
    trainings: int
    accuracy: Interval | None
    top5: Interval | None
    share: float | None
    gain: Interval | None
    own_gain: Interval | None
    stored: Extent | None
    stored_fp32: Extent | None
    distil_seconds: float | None
    upstream_seconds: float | None
    upstream_shared: bool
    tune_seconds: float | None
    tune_shared: bool
    peak_device: int
    peak_host: int
    unfit: int
    rank: int | None = None
    tied: bool = False
    objective: Objective | None = None
    relative: RelativeScores | None = None
    reported: Reported | None = None
    without_leaks: Interval | None = None
    left_out: int | None = None
    inflation: float | None = None

    @property
    def complete(self) -> bool:
        """Whether no training is missing."""
        return self.trainings == self.seeds * self.networks

    @property
    def deviation(self) -> float | None:
        """Measured minus reported, both by the reported metric."""
        if self.reported is None:
            return None
        measured = self.top5 if self.reported.metric == "top5" else self.accuracy
        return None if measured is None else measured.mean - self.reported.mean


@final
@dataclass(frozen=True)
class Row:
    """One method in one configuration.

    Attributes:
        method, config, state: the method, its hyper-parameters and the state of its code; the latter two are None for a
            method without any record here. The config of a set under a storage codec names it, as ``storage``.
        source: digest of the source that the newest of its records was made by, or None.
        label: the name, with what tells it from other rows of the same method.
        reference: whether it does not depend on the budget (``full``): one figure for every IPC.
        status: ``ok`` if every cell is finished, ``partial`` if some are, else how they ended, or ``missing``.
        figures: None unless ``ok`` or ``partial``.
        notes: footnotes.
        cells: the finished cells behind the figures, in the order of their seeds.
    """

    method: str
    label: str
    config: Mapping[str, Value] | None
    state: State | None
    source: str | None
    reference: bool
    status: str
    figures: Figures | None
    notes: tuple[Note, ...]
    cells: tuple[Record, ...]

    def footnotes(self, *columns: str) -> list[str]:
        """The texts of the footnotes to these columns."""
        return [note.text for note in self.notes if note.column in columns]


@final
@dataclass(frozen=True)
class Leaderboard:
    """Rows that may be compared.

    Attributes:
        group, ipc, setting: what all rows have in common; ipc is None if no row has one, the setting is written out.
        data: what titles call the data; no other data of the same profile is called so.
        title: a line that no other leaderboard of the same call has.
        baseline: the method that gains are over.
        chance: accuracy of guessing, or None if no cell is finished.
        majority: accuracy of always answering the largest class of the test clips, or None.
        rows: the reference first, then by accuracy, partial rows, holes.
        tests: of every pair of complete rows but the reference, by their places in ``rows``; empty where none was possible.
        remarks: footnotes to the whole table, one sentence each.
        budget: bytes that each set may take, where these and not IPC are the budget.
    """

    group: Group
    data: str
    ipc: int | None
    setting: str
    title: str
    baseline: str
    chance: float | None
    majority: float | None
    rows: tuple[Row, ...]
    tests: tuple[PairedTest, ...]
    remarks: tuple[str, ...]
    budget: int | None = None

    def amount(self) -> str:
        """How much each row may store."""
        return amount_label(self.ipc, self.budget)

    def setting_label(self) -> str:
        """The preset's name of its temporal setting, or the setting as it is written out."""
        return setting_label(self.setting, self.group.frames())


def amount_label(ipc: int | None, budget: int | None) -> str:
    """A budget in clips or in bytes, as people read it."""
    if budget is not None:
        return written_bytes(budget)
    return "any IPC" if ipc is None else f"IPC {ipc}"


@functools.lru_cache(maxsize=1024)
def setting_label(written: str, frames: int) -> str:
    """The preset's name of a temporal setting that is written out, else the setting as it is."""
    try:
        return parse(written, frames).label(frames)
    except BenchError:
        return written
