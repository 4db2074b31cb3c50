"""Fewer clips at a time, for a cell that ran out of memory: the same results but for the rounding of sums."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from bench.nets.classifier import Classifier

MICRO_BATCH = 32
"""Clips in one pass when a cell is tried again: a quarter of what a test pass takes otherwise."""


def limit(network: Classifier, most: int | None) -> Classifier:
    """Lets a network see at most ``most`` clips at a time, in place; None changes nothing.

    Passes of which no gradient is wanted are cut up here; training cuts up its batches by itself (`bench.training`). A pass
    with a gradient that a method makes stays whole: only the method knows what its gradient is for.
    """
    if most is None:
        return network
    network.most_clips = most
    for name in ("forward", "features", "embedding"):
        setattr(network, name, functools.partial(_in_parts, network, getattr(network, name)))
    return network


def parts(network: Classifier, clips: int) -> int:
    """How many clips of a batch of ``clips`` a network is given at a time.

    All of them where one clip changes what becomes of another: batch norm in training mode.
    """
    return clips if network.most_clips is None or _mixes(network) else min(clips, network.most_clips)


def _in_parts(network: Classifier, whole: Callable[[torch.Tensor], torch.Tensor], clips: torch.Tensor) -> torch.Tensor:
    size = len(clips) if torch.is_grad_enabled() else parts(network, len(clips))
    if size == len(clips):
        return whole(clips)
    return torch.cat([whole(part) for part in clips.split(size)])  # type: ignore[no-untyped-call]


def _mixes(network: Classifier) -> bool:
    norms = (module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm))
    return any(norm.training or not norm.track_running_stats for norm in norms)
