"""How many clips a network is given at a time: as many as fit into memory, and fewer after a cell ran out of it.

How many fit depends on the network, the shape of the clips and the device, never on what else runs. So a cell computes the same
sums whether it runs alone or beside others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import torch
from torch.utils.checkpoint import checkpoint

from bench.nets.layers import SeededDropout

if TYPE_CHECKING:
    from bench.api import ClipShape
    from bench.core.classifier import Classifier

PASS_BYTES = 4 << 30
"""The most that one pass may keep for its gradient."""

SHARE = 0.25
"""The part of a device's memory that it may keep, where that is less: several cells run at once."""


def room_on(device: torch.device) -> int:
    """Bytes that a pass may keep on a device; a part of all its memory, free or not."""
    on_gpu = device.type == "cuda"
    memory = torch.cuda.get_device_properties(device).total_memory if on_gpu else psutil.virtual_memory().total
    return min(PASS_BYTES, int(SHARE * memory))


def clips_that_fit(each: int, room: int) -> int:
    """How many clips that keep ``each`` bytes have room; one at least."""
    return max(1, room // each)


def bytes_per_clip(network: Classifier, clip: ClipShape, device: torch.device) -> int:
    """Bytes that a training pass keeps of each clip until its gradient is taken, the clip itself included; measured on two clips.

    Args:
        network: must not be used again, because the pass draws its dropout and moves its running means.
        clip: shape of the clips.
        device: where the network is.
    """
    own_storages = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own_storages:
            sizes[storage._cdata] = storage.nbytes()
        return tensor

    clips = torch.zeros(2, *clip.dims(), device=device)
    note(clips)
    network.train()
    # The graph keeps every tensor that is noted until the logits go, so no two of their storages are at one address.
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network(clips)
    del logits
    return -(-sum(sizes.values()) // 2)


def limit(network: Classifier, most: int | None) -> Classifier:
    """Lets a network see at most ``most`` clips at a time, in place; None changes nothing.

    Cut up here are passes of which no gradient is wanted, and those whose gradient goes to the clips alone, through weights that
    are fixed: what a portion keeps is let go and made again when its gradient is taken. Training cuts up its batches by itself
    (`bench.judging.training`). A pass whose gradient goes to weights, too, stays whole: only the method knows what it is for.
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
    most = network.most_clips
    return clips if most is None or clips <= most or _mixes(network) else most


def _in_parts(network: Classifier, run: Callable[[torch.Tensor], torch.Tensor], clips: torch.Tensor) -> torch.Tensor:
    size = parts(network, len(clips))
    if size == len(clips):
        return run(clips)
    portions = clips.split(size)  # type: ignore[no-untyped-call]
    if not torch.is_grad_enabled():
        return torch.cat([run(portion) for portion in portions])
    if not clips.requires_grad or _learns(network) or _draws(network):
        return run(clips)
    return torch.cat([checkpoint(run, portion, use_reentrant=False, preserve_rng_state=False) for portion in portions])


def _learns(network: Classifier) -> bool:
    return any(parameter.requires_grad for parameter in network.parameters())


def _draws(network: Classifier) -> bool:
    """Whether a pass may draw at random, so that the same clips give other maps the second time."""
    drawing = SeededDropout, torch.nn.modules.dropout._DropoutNd
    return any(module.training and isinstance(module, drawing) for module in network.modules())


def _mixes(network: Classifier) -> bool:
    norms = (module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm))
    return any(norm.training or not norm.track_running_stats for norm in norms)
