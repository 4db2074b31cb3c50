"""Trains and tests each of a protocol's networks on a set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch

from bench.api import Checkpoints, Clips, ClipShape, Evaluation, Network, Protocol, SyntheticSet
from bench.core.classifier import Classifier
from bench.core.reporter import Reporter
from bench.judging.cached_clips import cached_clips, cached_set
from bench.judging.probes import probed
from bench.nets.builder import Builder


def evaluate_set(
    synthetic: SyntheticSet,
    test: Clips,
    classes: tuple[str, ...],
    clip: ClipShape,
    network: Network,
    protocol: Protocol,
    builder: Builder,
    reporter: Reporter,
    done: list[Evaluation] | None = None,
    keep: Callable[[list[Evaluation]], None] = lambda done: None,
    phase: str = "evaluate",
    probes: Sequence[str] = (),
    saved: Callable[[int], Checkpoints] | None = None,
) -> list[Evaluation]:
    """Trains and tests each of the protocol's networks on a set.

    Args:
        synthetic, test: what to train on and what to test on.
        classes, clip: class names and clip shape.
        network, protocol, builder: see there.
        reporter: told of each step.
        done: evaluations that an earlier part of the cell finished.
        keep: called with all finished evaluations after each network.
        phase: what the reporter is told.
        probes: temporal probes under which the networks are tested too.
        saved: gives the checkpoints of the training of each network, by its number.
    """
    evaluations = list(done or [])
    if len(evaluations) < protocol.networks:
        layout = layout_of(network)
        synthetic, test = cached_set(synthetic, builder.device, layout), cached_clips(test, layout)

    def build(rng: torch.Generator) -> Classifier:
        return builder.build(network, len(classes), clip, rng, "judge")

    def progress(number: int, update: int, total: int, loss: float) -> None:
        reporter.step(phase, number * total + update, protocol.networks * total, loss)
        reporter.check_time()

    for number in range(len(evaluations), protocol.networks):
        altered = probed(test, number, probes)
        checkpoints = None if saved is None else saved(number)
        tell = functools.partial(progress, number)
        evaluations.append(protocol.evaluate(synthetic, test, len(classes), build, number, tell, altered, checkpoints))
        keep(evaluations)
    return evaluations


def layout_of(network: Network) -> torch.memory_format:
    """How a network likes its clips to lie in memory."""
    return torch.channels_last_3d if network.channels_last else torch.contiguous_format
