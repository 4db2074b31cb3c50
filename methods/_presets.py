"""Where hyper-parameters come from: the sources that several methods share, and the presets made of them."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api import Preset
from bench.core.config import Value

Values = Mapping[str, Value]

RELEASE = "released scripts of Wang et al. 2024 (github.com/yuz1wan/video_distillation)"
CHOSEN = "learning rates chosen on the validation part of train, steps scaled down for a CPU; see docs/methods.md"
MAIN_JOB = "fewer steps, nothing else: the main job in five minutes on two cores"


def released(
    values: Values, dataset: str | None = None, ipc: int | None = None, note: str = "", lends: bool = False
) -> Preset:
    """Values that a script of the video release has for whatever dataset it is given, or for one."""
    return Preset(values, source=RELEASE, profile="paper", dataset=dataset, ipc=ipc, note=note, lends=lends)


def example(values: Values, dataset: str, ipc: int) -> Preset:
    """Values that a script takes from the command line, as the release calls it for one dataset and IPC. Others borrow them."""
    return Preset(values, source=f"{RELEASE}, README", profile="paper", dataset=dataset, ipc=ipc, lends=True)


def quick(values: Values) -> Preset:
    """Values for a CPU, in minutes."""
    return Preset(values, source=CHOSEN, profile="quick")


def main_job(values: Values) -> Preset:
    """Values for the embedded default dataset."""
    return Preset(values, source=MAIN_JOB, profile="quick", dataset="shapes-mixed")
