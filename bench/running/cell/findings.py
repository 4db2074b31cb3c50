"""What a cell has found, and the record that is made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.api import Evaluation
from bench.results.cells import Cell
from bench.results.records import Motion, PhaseCost, Record, SetReport, Status, total
from bench.running.cell.costs import PhaseMeter
from bench.running.cell.journal import Journal


@dataclass
class Findings:
    """What a cell has found so far: filled stage by stage, so that a record says it however far the cell got.

    Attributes:
        data: facts of the clips and of the set (`Record.data`).
        journal: of distilling, once that has begun.
        distils: whether this process learns the set, be it that it is stored by now.
        report: what the set stores.
        evaluations: of the protocol's networks.
        motion: of the set.
        traceback, whole: of the error that the cell ended with: without and with the folders of this machine.
        judging: what the phases of judging took.
        judges: the kinds of processor that have judged, in order.
    """

    data: dict[str, Any] = field(default_factory=dict)
    journal: Journal | None = None
    distils: bool = False
    report: SetReport | None = None
    evaluations: tuple[Evaluation, ...] = ()
    motion: Motion | None = None
    traceback: str | None = None
    whole: str = ""
    judging: dict[str, PhaseCost] = field(default_factory=dict)
    judges: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def charged(self, phase: str, meter: PhaseMeter) -> Iterator[None]:
        """Measures a phase of judging; what it took is known however it ends."""
        try:
            with meter:
                yield
        finally:
            self.judging[phase] = meter.cost

    def costs(self) -> dict[str, PhaseCost]:
        """What each phase took so far."""
        if self.journal is None:
            return dict(self.judging)
        upstream = self.journal.upstream
        made = {"upstream": total(list(upstream.values()))} if upstream else {}
        return {**made, "distil": self.journal.distil, **self.judging}


def record(
    cell: Cell,
    status: Status,
    reason: str,
    findings: Findings,
    retried: dict[str, Any] | None,
    provenance: dict[str, Any],
    changed: tuple[str, ...],
) -> Record:
    """The record of a cell; of one whose figures contradict each other, a record that says so.

    Args:
        cell, status, reason: the cell and how it ended.
        findings: what it has found until then.
        retried: what is known of a first attempt that ran out of memory, or None.
        provenance: where the figures come from; ``processors`` of earlier parts go before this one's.
        changed: what the cell changed of its process.
    """
    journal = findings.journal or Journal()
    kinds = dict.fromkeys([*journal.processors, *findings.judges, *provenance.get("processors", ())])
    provenance = {**provenance, "processors": list(kinds)}
    upstream = {name: asdict(cost) for name, cost in journal.upstream.items()}
    made = Record(
        cell=cell,
        status=status,
        reason=reason,
        set=findings.report,
        evaluations=findings.evaluations,
        costs=findings.costs(),
        history=journal.history,
        data=findings.data
        | ({"upstream": upstream} if upstream else {})
        | ({} if retried is None else {"retried": retried}),
        provenance=provenance,
        motion=findings.motion,
        traceback=findings.traceback,
        changed=changed,
    )
    clause = made.contradiction()
    if clause is None:
        return made
    # A protocol of a plugin has counted wrongly.
    reason = f"its figures contradict each other: {clause}"
    return Record(cell, "failed", reason, costs=made.costs, data=findings.data, provenance=provenance)
