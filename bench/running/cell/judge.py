"""The second part of a cell: what networks learn from its set, and what the set's motion is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.api import Evaluation, SyntheticSet
from bench.core.frame_order import PROBES
from bench.judging import motion
from bench.judging.cached_clips import cached_clips
from bench.judging.evaluate import evaluate_set, layout_of
from bench.judging.frozen import FrozenSet
from bench.running.cell.attempt import Attempt
from bench.running.cell.findings import Findings
from bench.running.cell.partial import Trainings
from bench.running.cell.real_clips import RealClips
from bench.running.cell.shared_sets import StoredSet


def judge(stored: StoredSet, attempt: Attempt, real: RealClips, findings: Findings) -> None:
    """Trains and tests the protocol's networks on a set; with probes, also measures its motion and trains them with its time frozen.

    Args:
        stored: the set.
        attempt: at the cell.
        real: its clips.
        findings: gets evaluations, motion and costs, each as soon as it is known.
    """
    synthetic = stored.synthetic
    network, protocol = attempt.registries.networks.get(attempt.cell.judge())(), attempt.protocol()
    test = cached_clips(real.test, layout_of(network))  # for the networks of both phases

    def networks_on(data: SyntheticSet, trainings: Trainings, probes: Sequence[str]) -> list[Evaluation]:
        return evaluate_set(
            data, test, real.store.classes, attempt.planned.geometry.shape(), network, protocol, attempt.builder,
            attempt.reporter, trainings.done, trainings.keep, trainings.phase, probes, trainings.saved,
        )  # fmt: skip

    trainings = Trainings(attempt, "evaluate", "evaluations.json")
    findings.judges += trainings.processors
    with findings.charged("evaluate", trainings.meter):
        findings.evaluations = tuple(networks_on(synthetic, trainings, PROBES if attempt.planned.probes else ()))
    if not attempt.planned.probes:
        return
    trainings = Trainings(attempt, "probe", "frozen.json")
    findings.judges += trainings.processors
    with findings.charged("probe", trainings.meter):
        findings.motion = motion.measure(synthetic, real.store, real.split)
        if protocol.frozen_training and (synthetic.archived or attempt.context.gain_of_full):
            frozen = networks_on(FrozenSet(synthetic), trainings, ("frozen",))
            findings.evaluations = tuple(
                replace(moving, frozen_trained=still.correct(), frozen_both=still.probes.get("frozen"))
                for moving, still in zip(findings.evaluations, frozen, strict=True)
            )
