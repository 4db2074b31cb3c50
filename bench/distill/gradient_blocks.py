"""The gradient of a sum over classes, accumulated block by block: the same gradient, with one block's graph in memory.

With hundreds of classes it is the networks' activations that do not fit, not the set. So a set is rendered whole (what it draws
at random is then drawn as ever), the loss of each block of classes is pulled back to the rendered clips and its graph let go,
and at last the gradient of all clips is pulled back to what is stored:

    loss, gradient = in_blocks(clips, class_blocks(labels, classes), loss_of)
    gradients = pulled_back(clips, gradient, tensors)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

import torch

from bench.core.repeated_frames import select_clips
from bench.core.upload import upload

MOST_CLIPS = 64
"""Clips to a block."""


@final
@dataclass(frozen=True)
class Block:
    """Some consecutive classes and their synthetic clips.

    Attributes:
        labels: the classes.
        clips: ``(b,)`` positions of their clips in the set, ascending.
        own: ``(b,)`` label of each of these clips, counted from the block's first class.
    """

    labels: range
    clips: torch.Tensor
    own: torch.Tensor

    def of(self, classes: torch.Tensor) -> torch.Tensor:
        """The block's rows of a tensor that has one row a class."""
        return classes[self.labels.start : self.labels.stop]


def class_blocks(labels: torch.Tensor, classes: int, most: int = MOST_CLIPS) -> list[Block]:
    """All classes in order, as many to a block as have at most ``most`` clips together; one that has more is alone.

    Args:
        labels: ``(N,)`` int64, the class of each synthetic clip.
        classes: number of classes.
        most: clips to a block, at least 1. It changes memory, and results by no more than rounding.
    """
    labels = labels.cpu()
    counts = torch.bincount(labels, minlength=classes).tolist()
    blocks: list[Block] = []
    start = taken = 0
    for label in range(classes):
        if label > start and taken + counts[label] > most:
            blocks.append(_block(labels, range(start, label)))
            start, taken = label, 0
        taken += counts[label]
    return [*blocks, _block(labels, range(start, classes))]


def _block(labels: torch.Tensor, own: range) -> Block:
    clips = ((labels >= own.start) & (labels < own.stop)).nonzero().flatten()
    return Block(own, clips, labels[clips] - own.start)


def in_blocks(
    clips: torch.Tensor, blocks: Sequence[Block], loss_of: Callable[[Block, torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A loss that is a sum over blocks, and its gradient in the clips.

    Args:
        clips: ``(N, C, T, H, W)``, rendered; their own graph is left alone.
        blocks: parts of the set; no two have a clip in common.
        loss_of: the scalar loss of a block, given the block and its clips ``(b, C, T, H, W)``. Called in the order of the
            blocks, so that what it draws from a generator is drawn in the order of the classes.

    Returns:
        The loss, without graph, and its gradient ``(N, C, T, H, W)``; zero for clips of no block. Of clips that stand still
        (`bench.core.repeated_frames`) only its sum over time means anything, which is what `pulled_back` takes.
    """
    rendered = clips.detach()
    if len(blocks) == 1 and torch.equal(blocks[0].clips, torch.arange(len(clips))):  # all of them, without a copy
        rendered.requires_grad_(True)
        loss = loss_of(blocks[0], rendered)
        return loss.detach(), torch.autograd.grad(loss, [rendered])[0]
    gradient = torch.zeros_like(rendered)
    total = torch.zeros((), dtype=clips.dtype, device=clips.device)
    for block in blocks:
        places = upload(block.clips, clips.device)
        part = select_clips(rendered, places).requires_grad_(True)
        loss = loss_of(block, part)
        (gradient[places],) = torch.autograd.grad(loss, [part])
        total += loss.detach()
    return total, gradient


def pulled_back(
    clips: torch.Tensor, gradient: torch.Tensor, tensors: Sequence[torch.Tensor]
) -> tuple[torch.Tensor | None, ...]:
    """The gradient in what ``clips`` were rendered from, given that in the clips; None for what they do not touch."""
    return torch.autograd.grad(clips, list(tensors), grad_outputs=gradient, allow_unused=True)


def accumulated(
    losses: Iterable[torch.Tensor], tensors: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
    """The sum of some losses and its gradient; each loss's graph is let go before the next one is made.

    For losses that render their own part of the set, such as gradient matching class by class.

    Args:
        losses: scalars, made one by one (a generator).
        tensors: what they are differentiated in.

    Returns:
        The sum, without graph, and a gradient for each tensor; None for one that no loss touches.
    """
    total: torch.Tensor | None = None
    gradients: list[torch.Tensor | None] = [None] * len(tensors)
    for loss in losses:
        total = _sum(total, loss.detach())
        parts = torch.autograd.grad(loss, list(tensors), allow_unused=True)
        gradients = [_sum(so_far, part) for so_far, part in zip(gradients, parts, strict=True)]
    return torch.zeros(()) if total is None else total, tuple(gradients)


def _sum(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
