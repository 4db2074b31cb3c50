"""Within a step no method reads a number from the device: a GPU that is given the next step early is never idle.

Seen on a CPU, where every such reading is the same operation. Excepted is what lies on the CPU on every device: whole numbers
(positions, labels), what is drawn, and how many steps Adam has made.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench import plugins
from tests.oracle.fake_task import FakeTask

METHODS = plugins.load().methods
ON_THE_CPU = {"_augment.py", "adam.py"}  # draws; the steps that Adam counts
STEPS = {"steps": 3}
CONFIGS = {
    "dm": {**STEPS, "batch_real": 2},
    "dc": {**STEPS, "batch_real": 2},
    "dsa": {**STEPS, "batch_real": 2},
    "mtt": {**STEPS, "experts": 1, "max_start_epoch": 1, "syn_steps": 2, "backward": "stepwise"},
    "frepo": {**STEPS, "pool": 2, "batch_real": 4},
    "dm+sd": {**STEPS, "batch_real": 2, "static_steps": 1, "static_batch": 2},
}


class Readings(TorchDispatchMode):
    """Counts floating-point numbers that are read from tensors while inside."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point():
            self.count += not ON_THE_CPU & {Path(frame.filename).name for frame in traceback.extract_stack()}
        return function(*args, **(kwargs or {}))


class Watched(FakeTask):
    """Notes how many readings there had been at the end of each step."""

    def __init__(self, readings):
        super().__init__(classes=2, per_class=4, ipc=1)
        self.readings = readings
        self.seen = []

    def progress(self, step, total, **metrics):
        self.seen.append(self.readings.count)

    def checkpoint(self, step, state):
        pass  # due every 20 seconds


@pytest.mark.parametrize("name", CONFIGS)
def test_steps_read_nothing(name):
    method_type = METHODS.get(name)
    readings = Readings()
    task = Watched(readings)
    with readings:
        method_type(method_type.Config(**CONFIGS[name])).distill(task)
    assert len(task.seen) >= 3
    assert task.seen[-1] == task.seen[-3]


def test_a_reading_is_seen():
    readings = Readings()
    with readings:
        float(torch.ones(()))
    assert readings.count == 1
