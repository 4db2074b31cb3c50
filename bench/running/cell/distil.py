"""The first part of a cell: its set, as it is stored."""

from __future__ import annotations

from typing import Any

from bench.api import Method, SyntheticSet
from bench.core import config
from bench.core.storage import PLAIN
from bench.running.cell import shared_sets
from bench.running.cell.attempt import Attempt
from bench.running.cell.checks import check_budget, check_set
from bench.running.cell.costs import PhaseMeter
from bench.running.cell.findings import Findings
from bench.running.cell.journal import load_journal
from bench.running.cell.provenance import processor
from bench.running.cell.real_clips import RealClips
from bench.running.cell.shared_sets import Account, StoredSet, is_archived
from bench.running.cell.task import CellTask
from bench.sets.coded import coded, loss_of


def distil(attempt: Attempt, real: RealClips, findings: Findings) -> StoredSet:
    """The set of a cell: as an earlier part of the cell or another cell stored it, else distilled now.

    Args:
        attempt: at the cell.
        real: its clips.
        findings: gets the journal of distilling, which is there even if that fails.

    Raises:
        BenchError: the set breaks its contract, or takes more bytes than it may; and whatever the method raises.
    """
    stored = shared_sets.of_this_cell(attempt)
    if stored is not None:
        return stored
    with shared_sets.alone(attempt):
        stored = shared_sets.of_another_cell(attempt, real.store)
        if stored is None:
            stored = _distilled(attempt, real, findings)
            if is_archived(attempt, stored.synthetic):
                shared_sets.keep(attempt, real.store, stored)
    return stored


def _distilled(attempt: Attempt, real: RealClips, findings: Findings) -> StoredSet:
    """The set, distilled now, checked, and coded as the cell asks for."""
    cell, classes, clip = attempt.cell, len(real.store.classes), attempt.planned.geometry.shape()
    synthetic = _learned(attempt, real, findings)
    check_set(synthetic, classes, clip, cell.ipc)
    data: dict[str, Any] = {}
    if cell.storage != PLAIN and (smaller := coded(synthetic, cell.storage)) is not synthetic:
        check_set(smaller, classes, clip, cell.ipc)
        data["storage_loss"] = loss_of(synthetic, smaller)
        synthetic = smaller
    check_budget(synthetic, cell.budget)
    findings.data |= data  # even if the set cannot be archived
    assert findings.journal is not None
    return StoredSet(synthetic, Account(findings.journal, data, cell.id()))


def _learned(attempt: Attempt, real: RealClips, findings: Findings) -> SyntheticSet:
    """What the method makes of the clips, going on from its checkpoint if there is one."""
    findings.distils = True
    registries, cell, state = attempt.registries, attempt.cell, attempt.distillation_state
    method_type = registries.methods.get(cell.method)
    method: Method[Any] = method_type(config.build(method_type.Config, cell.config, cell.method))
    frame_network = registries.profiles.get(cell.profile).frame_network
    journal = load_journal(state, cell.distillation().id())
    journal.go_on(processor(str(attempt.device)))
    task = CellTask(
        cell.distillation(), real.store, real.split, attempt.planned.geometry.shape(), attempt.planned.setting,
        registries.networks.get(cell.network)(), registries.networks.get(frame_network)(), attempt.protocol(),
        attempt.builder, state, attempt.context.cache, attempt.reporter, journal,
    )  # fmt: skip
    meter = PhaseMeter(attempt.device, journal.distil)
    task.measure(meter)
    findings.journal = journal
    try:
        with meter:
            return method.distill(task)
    finally:
        journal.distil = meter.cost
