"""What a machine can do at most, measured, and what a pass of a network needs of it, counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bench.core.classifier import Classifier

Timer = Callable[[], float]


@dataclass(frozen=True)
class Need:
    """Operations and memory traffic of some work.

    Attributes:
        flops: floating-point operations; a multiply-add is two.
        bytes: read and written once by each layer, if no cache held anything.
    """

    flops: float
    bytes: float

    def times(self, factor: float) -> Need:
        """The same work so many times."""
        return Need(self.flops * factor, self.bytes * factor)

    def plus(self, other: Need) -> Need:
        """Both."""
        return Need(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Machine:
    """Rates of this process, with the threads that it has.

    Attributes:
        flops: of a float32 matrix product of 1024x1024, per second.
        bytes: read and written by copying 128 MiB, per second.
    """

    flops: float
    bytes: float

    def seconds(self, need: Need) -> tuple[float, float]:
        """The two limits: what the arithmetic alone, and the memory traffic alone, would take."""
        return need.flops / self.flops, need.bytes / self.bytes


def measure_machine(timer: Timer) -> Machine:
    """The best of a few tries; ``timer`` gives seconds."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    source = np.ones(1 << 27, np.uint8)
    target = np.empty_like(source)
    product = min(timed(timer, lambda: a @ b) for _ in range(10))
    copying = min(timed(timer, lambda: np.copyto(target, source)) for _ in range(5))
    return Machine(2 * 1024**3 / product, 2 * source.nbytes / copying)


def timed(timer: Timer, work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    start = timer()
    work()
    return timer() - start


def forward_need(network: Classifier, flops: float, clips: torch.Tensor) -> Need:
    """What one forward pass of one clip needs: ``flops`` are known, bytes are counted layer by layer."""
    moved = [0]

    def count(layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        moved[0] += 4 * (sum(tensor.numel() for tensor in inputs) + output.numel() + parameters)

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    handles = [layer.register_forward_hook(count) for layer in leaves]
    with torch.no_grad():
        network(clips[:1])
    for handle in handles:
        handle.remove()
    return Need(flops, moved[0])
