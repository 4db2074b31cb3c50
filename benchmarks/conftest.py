"""Each benchmark beside its bare forward and backward passes, measured in turns with it, and beside its two limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from bench import plugins
from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.core.rng import generator
from bench.nets.flops import flops
from bench.plugins import Registries
from benchmarks.limits import Machine, Need, Timer, forward_need, measure_machine, timed

QUICK = ClipShape(3, 8, 32, 32)
"""The clips of profile `quick`."""


@pytest.fixture(scope="session")
def registries() -> Registries:
    """All parts."""
    return plugins.load()


@pytest.fixture(scope="session")
def timer(request: pytest.FixtureRequest) -> Timer:
    """Of the benchmarks: ``--benchmark-timer=time.process_time`` where other work shares the machine."""
    name = str(request.config.getoption("benchmark_timer"))
    return time.process_time if name.endswith("process_time") else time.perf_counter


@pytest.fixture(scope="session")
def machine(timer: Timer) -> Machine:
    """Its rates."""
    return measure_machine(timer)


@dataclass(frozen=True)
class Bare:
    """Bare passes of random clips of one shape through one network: what every method is made of.

    Attributes:
        network: it.
        clips: ``(B, C, T, H, W)``, in the layout that the network is given.
        forward: what a forward pass of one clip needs; a training pass is taken for three.
    """

    network: Classifier
    clips: torch.Tensor
    forward: Need

    def forwards(self) -> None:
        """A forward pass of all clips, without gradients."""
        with torch.no_grad():
            self.network(self.clips)

    def trainings(self) -> None:
        """A forward and a backward pass of all clips."""
        labels = torch.zeros(len(self.clips), dtype=torch.int64)
        torch.nn.functional.cross_entropy(self.network(self.clips), labels).backward()


@pytest.fixture(scope="session")
def make_bare(registries: Registries) -> Callable[..., Bare]:
    """``make_bare(shape, network, batch)``."""

    def make(shape: ClipShape = QUICK, name: str = "convnet3d-small", batch: int = 32, classes: int = 4) -> Bare:
        kind = registries.networks.get(name)()
        network = kind.build(classes, shape, generator("bare"))
        layout = torch.channels_last_3d if kind.channels_last else torch.contiguous_format
        clips = torch.randn(batch, *shape.dims(), generator=generator("clips")).contiguous(memory_format=layout)
        return Bare(network, clips, forward_need(network, flops(kind, classes, shape), clips))

    return make


@pytest.fixture
def against(benchmark, timer: Timer, machine: Machine) -> Callable[..., None]:
    """Measures ``work`` in turns with bare passes of as many clips.

    ``forwards`` and ``trainings`` are clips that pass forward only, and forward and backward; ``share_of_bare`` is what these
    would take, bare, over what ``work`` takes; 1 is the limit. ``scale`` divides all figures (steps in one call, say).
    """

    def measure(
        work: Callable[[], object],
        bare: Bare,
        forwards: float = 0.0,
        trainings: float = 0.0,
        scale: int = 1,
        rounds: int = 3,
        **info: object,
    ) -> None:
        forward, training = [], []

        def before() -> None:
            if forwards:
                forward.append(timed(timer, bare.forwards) / len(bare.clips))
            if trainings:
                training.append(timed(timer, bare.trainings) / len(bare.clips))

        benchmark.pedantic(work, setup=before, rounds=rounds, warmup_rounds=1)
        if benchmark.stats is None:  # --benchmark-disable: only whether it runs
            return
        need = bare.forward.times(forwards + 3 * trainings)
        by_flops, by_bytes = machine.seconds(need)
        seconds = benchmark.stats.stats.min / scale
        passes = forwards * min(forward, default=0.0) + trainings * min(training, default=0.0)
        benchmark.extra_info.update(
            seconds=seconds, bare_seconds=passes, share_of_bare=passes / seconds, gflop=need.flops / 1e9,
            megabytes=need.bytes / 1e6, flop_limit=by_flops, byte_limit=by_bytes, **info,
        )  # fmt: skip

    return measure


@pytest.fixture
def beside(benchmark, timer: Timer) -> Callable[..., None]:
    """Measures ``work`` in turns with another work that bounds it (copying the same bytes, decoding the same clips)."""

    def measure(
        work: Callable[[], object],
        bound: Callable[[], object] | None = None,
        rounds: int = 3,
        scale: int = 1,
        **info: object,
    ) -> None:
        bounds: list[float] = []

        def before() -> None:
            if bound is not None:
                bounds.append(timed(timer, bound))

        benchmark.pedantic(work, setup=before, rounds=rounds, warmup_rounds=1)
        if benchmark.stats is None:
            return
        seconds = benchmark.stats.stats.min / scale
        if bounds:
            bare = min(bounds) / scale
            info |= {"bare_seconds": bare, "share_of_bare": bare / seconds}
        benchmark.extra_info.update(seconds=seconds, **info)

    return measure
