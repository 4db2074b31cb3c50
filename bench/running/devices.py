"""The device that cells run on: its name, and whether this machine has it."""

from __future__ import annotations

import re

from bench.core.errors import BenchError


def device_name(text: str) -> str:
    """The text, if it can name a device. This machine is not asked, as that needs torch.

    Raises:
        BenchError: it cannot.
    """
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,9})?", text, re.ASCII) is None:
        raise BenchError(f"--device: '{text}' is no device (valid: auto, cpu, cuda, cuda:N)")
    return text


def choose_device(text: str) -> str:
    """The device that ``--device`` names on this machine.

    Raises:
        BenchError: it does not exist here.
    """
    device_name(text)

    import torch

    if text == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = text.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise BenchError("--device: no CUDA device is available here (valid: auto, cpu)")
    if number and int(number) >= torch.cuda.device_count():
        raise BenchError(f"--device: there is no {text}; {torch.cuda.device_count()} CUDA devices are available")
    return text
