"""A counter-based generator: the n-th number of a key depends on the two alone, and is the same to the bit on every device.

Most methods draw a new network in every step. A generator with a state would have to draw it on the CPU, because CUDA's give other
numbers, and every step on a GPU would wait for the copy.
"""

from __future__ import annotations

import torch

# SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): its state only counts, in steps
# of the golden ratio; the number is that state, mixed twice by a shift and a product. As signed numbers, for PyTorch's sake.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_ROUNDS = ((30, 0xBF58476D1CE4E5B9 - (1 << 64)), (27, 0x94D049BB133111EB - (1 << 64)))
_LAST_SHIFT = 31

_PIECE = 1 << 14
"""Words mixed at a time on a CPU, where they then stay in the cache."""


def key(rng: torch.Generator) -> int:
    """A new key, 63 bits, drawn from a generator on the CPU."""
    return int(torch.randint((1 << 63) - 1, (), generator=rng))


def symmetric(key: int, count: int, device: torch.device) -> torch.Tensor:
    """The first ``count`` numbers of a key, uniform in [-1, 1), ``(count,)`` float32: whole multiples of 2^-23.

    Two come from each 64-bit word, its lower half first.
    """
    numbers = torch.empty(count + count % 2, device=device)
    piece = _PIECE if device.type == "cpu" else max(count, 1)
    for start in range(0, count, 2 * piece):
        piece_numbers = numbers[start : start + 2 * piece]
        halves = words(key, start // 2, len(piece_numbers) // 2, device).view(torch.int32)
        piece_numbers.copy_(halves.bitwise_right_shift_(8)).mul_(2.0**-23)  # the upper 24 bits, with their sign: exact
    return numbers[:count]


def words(key: int, first: int, count: int, device: torch.device) -> torch.Tensor:
    """Words number ``first`` and following of a key, ``(count,)`` int64: any 64 bits."""
    state = torch.arange(first + 1, first + 1 + count, device=device).mul_(_GOLDEN).add_(key)
    shifted = torch.empty_like(state)
    for shift, factor in _ROUNDS:
        state.bitwise_xor_(_shifted(state, shift, shifted)).mul_(factor)
    return state.bitwise_xor_(_shifted(state, _LAST_SHIFT, shifted))


def _shifted(state: torch.Tensor, by: int, out: torch.Tensor) -> torch.Tensor:
    """The words shifted to the right, zeros following: PyTorch's own shift repeats the sign."""
    return torch.bitwise_right_shift(state, by, out=out).bitwise_and_((1 << (64 - by)) - 1)
