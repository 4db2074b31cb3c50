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
from bench.run.attempt import Attempt
from bench.run.findings import Findings
from bench.run.partial import KeptTrainings
from bench.run.real_clips import RealClips
from bench.run.shared_sets import StoredSet


def judge(stored: StoredSet, attempt: Attempt, real: RealClips, findings: Findings) -> None:
    """Trains and tests the protocol's networks on a set, measures its motion, and trains them again with its time frozen.

    Args:
        stored: the set.
        attempt: at the cell.
        real: its clips.
        findings: gets evaluations, motion and costs, each as soon as it is known.
    """
    synthetic = stored.synthetic
    network, protocol = attempt.registries.networks.get(attempt.cell.judge())(), attempt.protocol()
    test = cached_clips(real.test, layout_of(network))  # for the networks of both phases

    def evaluations(of: SyntheticSet, phase: str, probes: Sequence[str], kept: KeptTrainings) -> list[Evaluation]:
        return evaluate_set(
            of, test, real.store.classes, attempt.planned.geometry.shape(), network, protocol, attempt.builder,
            attempt.reporter, done=kept.done, keep=kept.keep, phase=phase, probes=probes, saved=kept.saved,
        )  # fmt: skip

    kept = KeptTrainings(attempt, "evaluate", "evaluations.json")
    with findings.charged("evaluate", kept.meter):
        findings.evaluations = tuple(evaluations(synthetic, "evaluate", PROBES, kept))
    kept = KeptTrainings(attempt, "probe", "frozen.json")
    with findings.charged("probe", kept.meter):
        findings.motion = motion.measure(synthetic, real.store, real.split)
        if protocol.frozen_training and (synthetic.archived or attempt.context.gain_of_full):
            frozen = evaluations(FrozenSet(synthetic), "probe", ("frozen",), kept)
            findings.evaluations = tuple(
                replace(moving, frozen_trained=still.correct(), frozen_both=still.probes.get("frozen"))
                for moving, still in zip(findings.evaluations, frozen, strict=True)
            )
