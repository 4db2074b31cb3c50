"""The suite's own protocols. Each is a few numbers; `bench.judging.training` does the training they describe."""

from __future__ import annotations

from typing import final

from bench.api import Recipe
from bench.judging.final_epoch import FinalEpoch


@final
class Standard(FinalEpoch):
    """500 epochs of SGD from shared network seeds, with fixed normalisation and fixed test windows; tests the final epoch."""

    name = "standard"
    version = 1
    networks = 5
    recipe = Recipe(epochs=500, batch=256, lr=0.01)
    fit_threshold = 0.9


@final
class Quick(FinalEpoch):
    """`standard`, cut down to minutes on a CPU: lr 0.03, at most 200 epochs or 600 updates of 64 clips."""

    name = "quick"
    version = 1
    networks = 3
    recipe = Recipe(epochs=200, batch=64, lr=0.03, max_updates=600)
    fit_threshold = 0.9
