"""The protocols: how a set is judged. Each is a few numbers; what they mean is `bench.judging.training`."""

from __future__ import annotations

from typing import final

from bench.api import Recipe
from bench.judging.final_epoch import FinalEpoch


@final
class Standard(FinalEpoch):
    """500 epochs of SGD from shared network seeds, fixed normalisation, fixed test windows, the final epoch."""

    name = "standard"
    version = 1
    networks = 5
    recipe = Recipe(epochs=500, batch=256, lr=0.01)
    fit_threshold = 0.9


@final
class Quick(FinalEpoch):
    """`standard` for a CPU in minutes: lr 0.03, at most 200 epochs or 600 updates of 64 clips."""

    name = "quick"
    version = 1
    networks = 3
    recipe = Recipe(epochs=200, batch=64, lr=0.03, max_updates=600)
    fit_threshold = 0.9
