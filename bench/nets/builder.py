"""Builds the networks of a cell: on its device, in its number format, and given as many clips at a time as fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, final

import torch

from bench.core.precision import Precision
from bench.core.rng import generator
from bench.nets.halved import to_distil, to_judge
from bench.nets.layers import build_on
from bench.nets.microbatch import bytes_per_clip, clips_that_fit, limit, room_on

if TYPE_CHECKING:
    from bench.api import ClipShape, Network
    from bench.core.classifier import Classifier

LOGGED_BELOW = 128
"""The log says how many clips a network is given at a time if they are fewer. No pass of the suite itself takes more."""


@final
class Builder:
    """Builds the networks of one cell.

    Args:
        device: where they live.
        precision: of the cell.
        most_clips: clips that they are given at a time because memory was short, or None.
        log: called with a line where fewer clips fit than a pass would have.
    """

    def __init__(
        self,
        device: torch.device,
        precision: Precision,
        most_clips: int | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.device = device
        self._precision = precision
        self._most_clips = most_clips
        self._log = log
        self._fitting: dict[str, int] = {}  # clips at a time, of each kind of network

    def build(
        self, kind: Network, classes: int, clip: ClipShape, rng: torch.Generator, use: Literal["distil", "judge"]
    ) -> Classifier:
        """A new network.

        Args:
            kind, classes, clip: see `Network`.
            rng: draws its weights.
            use: whether a method or a protocol uses it.
        """
        computing = to_distil if use == "distil" else to_judge

        def build_with(rng: torch.Generator) -> Classifier:
            return computing(build_on(self.device, kind, classes, clip, rng), self._precision)

        network = build_with(rng)
        key = f"{kind.name}, {classes} classes, {clip.dims()}, {type(network).__name__}"
        if key not in self._fitting:
            self._fitting[key] = self._measured(kind.name, build_with(generator("another")), clip)
        return limit(network, self._fitting[key])

    def _measured(self, name: str, network: Classifier, clip: ClipShape) -> int:
        """How many clips a network is given at a time."""
        each = bytes_per_clip(network, clip, self.device)
        most = clips_that_fit(each, room_on(self.device))
        if most < LOGGED_BELOW:
            self._log(f"{name}: a pass keeps {each / 2**20:.0f} MiB of a clip, so {most} go through it at a time")
        return most if self._most_clips is None else min(most, self._most_clips)
