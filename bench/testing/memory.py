"""Counts what networks keep in memory: ``python -m bench.testing.memory`` prints the table that plans read (`bench.nets.memory`).

Passes run on the pretend device, which knows how many bytes are in use, without computing a number.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import torch

from bench import plugins
from bench.api import ClipShape, Network
from bench.core.rng import generator
from bench.nets.flops import SHAPES
from bench.nets.layers import build_on
from bench.nets.memory import Kept, key, written
from bench.testing import pretend

_FEW, _MORE = 10, 110  # classes
_CLIPS = 32


def count(kind: Network, clip: ClipShape) -> Kept:
    """Bytes that a network and its passes keep.

    Of a pass, what one more clip adds: the most that is in use at a time, the clip itself included. Networks that nobody learns
    through are not differentiated twice here: that is taken for three times their training.
    """
    with pretend.sizes_only():
        network, more = (
            build_on(pretend.device(), kind, classes, clip, generator("memory")).train() for classes in (_FEW, _MORE)
        )
        weights = _weights(network)
        each_class = (_weights(more) - weights) // (_MORE - _FEW)
        forward, through, training = (_each_clip(work, network, clip) for work in (_forward, _through, _training))
        learns = kind.__module__.endswith(".convnets")
        double = _each_clip(_double, network, clip) if learns else 3 * training
        return Kept(weights - _FEW * each_class, each_class, forward, through, training, double)


def _weights(network: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))


def _each_clip(
    work: Callable[[torch.nn.Module, torch.Tensor], object], network: torch.nn.Module, clip: ClipShape
) -> int:
    peaks = []
    for clips in (_CLIPS, 2 * _CLIPS):
        network.requires_grad_(True)
        gc.collect()
        with pretend.counting() as counts:
            before = counts.live
            work(network, torch.empty(clips, *clip.dims(), device=pretend.device()))
            peaks.append(counts.peak - before)
    return -(-(peaks[1] - peaks[0]) // _CLIPS)


def _forward(network: torch.nn.Module, clips: torch.Tensor) -> None:
    with torch.no_grad():
        network(clips)


def _through(network: torch.nn.Module, clips: torch.Tensor) -> None:
    network.requires_grad_(False)
    torch.autograd.grad(_loss(network, clips.requires_grad_(True)), [clips])


def _training(network: torch.nn.Module, clips: torch.Tensor) -> None:
    torch.autograd.grad(_loss(network, clips), list(network.parameters()), allow_unused=True)


def _double(network: torch.nn.Module, clips: torch.Tensor) -> None:
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    loss = _loss(network, clips.requires_grad_(True))
    gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    apart = sum((gradient.square().sum() for gradient in gradients if gradient is not None), torch.zeros_like(loss))
    torch.autograd.grad(apart, [clips])


def _loss(network: torch.nn.Module, clips: torch.Tensor) -> torch.Tensor:
    labels = torch.zeros(len(clips), dtype=torch.int64, device=clips.device)
    return torch.nn.functional.cross_entropy(network(clips), labels)


def rows() -> Iterator[tuple[str, Kept]]:
    """The entries of ``memory.json``: the suite's own networks at the shapes that the table of operations has, too.

    Deep ones at the largest alone: what they keep grows with the clips, and counting takes half a minute.
    """
    for _, kind in plugins.load().networks:
        if kind.__module__.startswith("bench."):
            deep = kind.name in ("x3d_xs", "slow_r50", "r2plus1d_r50", "csn", "mvit")
            for clip in SHAPES[-1:] if deep else SHAPES:
                if kind().declines(clip) is None:
                    yield key(kind, clip), count(kind(), clip)


if __name__ == "__main__":
    print(written(dict(rows())), end="")
