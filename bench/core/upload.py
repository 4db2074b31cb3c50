"""Tensors on their way to a device."""

from __future__ import annotations

import torch


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device. The program does not wait for a copy from the CPU to arrive: work queued there comes after it.

    PyTorch's plain ``to`` first waits until the device has done everything that it was given. The source may change at once,
    unless it is pinned.
    """
    return tensor.to(device, non_blocking=tensor.device.type == "cpu")
