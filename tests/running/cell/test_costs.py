"""What is counted: bytes of sets, seconds and peak memory of phases."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import pytest
import torch

from bench.api import SyntheticSet
from bench.results.records import PhaseCost, StoredTensor
from bench.running.cell.costs import PhaseMeter, count_set
from bench.running.engines.worker import ALLOCATOR, prepare_environment
from bench.sets.dense import DenseSet

CPU = torch.device("cpu")


class Mixed(SyntheticSet):
    """Tensors of several types."""

    name = "mixed"

    def __init__(self, labels):
        self.labels = labels

    @classmethod
    def restore(cls, tensors, labels, options):
        raise NotImplementedError

    def tensors(self):
        return {
            "pixels": torch.zeros(2, 3, dtype=torch.uint8),
            "codes": torch.zeros(5, dtype=torch.float16),
            "decoder": torch.zeros(3, 3),
            "table": torch.zeros(2, dtype=torch.int64),
            "repeated": torch.zeros(1).expand(4),
            "elsewhere": torch.empty(7, dtype=torch.uint8, device="meta"),
        }

    def render(self, index, rng):
        raise NotImplementedError


def test_bytes_are_those_of_the_stored_types_and_the_published_count_is_four_a_number():
    report = count_set(Mixed(torch.tensor([0, 1])), "abc")
    assert {name: entry.bytes for name, entry in report.tensors.items()} == {
        "pixels": 6, "codes": 10, "decoder": 36, "table": 16, "repeated": 16, "elsewhere": 7,
    }  # fmt: skip
    assert report.tensors["codes"] == StoredTensor((5,), "float16", 10)
    assert report.storage_bytes == 91
    assert report.storage_bytes_fp32 == 4 * (6 + 5 + 9 + 2 + 4 + 7)
    assert (report.kind, report.clips, report.artefact) == ("mixed", 2, "abc")


def test_hard_labels_are_free_and_soft_ones_are_not():
    clips = torch.zeros(6, 3, 2, 4, 4, dtype=torch.uint8)
    hard = count_set(DenseSet(clips, torch.arange(6)), None)
    soft = count_set(DenseSet(clips, torch.zeros(6, 10, dtype=torch.float16)), None)
    assert hard.storage_bytes == clips.numel() == 576
    assert soft.storage_bytes == 576 + 6 * 10 * 2
    assert soft.storage_bytes_fp32 == 4 * (576 + 60)
    assert set(soft.tensors) == {"clips", "labels"}


def test_a_meter_tells_waiting_from_working():
    with PhaseMeter(CPU) as waiting:
        time.sleep(0.2)
    with PhaseMeter(CPU) as working:
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
    assert 0.2 <= waiting.cost.wall_seconds < 2
    assert waiting.cost.device_seconds < 0.1
    assert working.cost.device_seconds >= 0.19
    assert working.cost.wall_seconds >= 0.19


def test_a_meter_goes_on_from_an_earlier_part():
    before = PhaseCost(100.0, 50.0, 7, 2**60)
    with PhaseMeter(CPU, before) as meter:
        time.sleep(0.05)
        during = meter.so_far()
    assert 100.05 <= during.wall_seconds <= meter.cost.wall_seconds < 101
    assert 50.0 <= meter.cost.device_seconds < 51
    assert (meter.cost.peak_device_bytes, meter.cost.peak_host_bytes) == (7, 2**60)
    assert not meter.cost.shared


def test_a_meter_keeps_the_cost_of_what_failed():
    meter = PhaseMeter(CPU)

    def fail():
        with meter:
            time.sleep(0.05)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert meter.cost.wall_seconds >= 0.05


def test_the_peak_is_that_of_the_phase():
    """A phase that fills 200 MB peaks that much higher than one after it, once the memory is given back."""
    # Not a tensor: PyTorch may be given memory that a test before this one has used.
    with PhaseMeter(CPU) as large, mmap.mmap(-1, 200_000_000) as memory:
        for _ in range(200):
            memory.write(bytes(1_000_000))
    with PhaseMeter(CPU) as small:
        torch.ones(10).sum()
    assert large.cost.peak_host_bytes - small.cost.peak_host_bytes > 150_000_000
    assert large.cost.peak_device_bytes == 0


FREED = """
import torch
from bench.running.cell.costs import PhaseMeter
with PhaseMeter(torch.device("cpu")) as large:
    held = [torch.ones(5_000_000) for _ in range(10)]  # blocks that worker processes keep
    del held
with PhaseMeter(torch.device("cpu")) as small:
    torch.ones(10).sum()
print(large.cost.peak_host_bytes - small.cost.peak_host_bytes)
"""


def test_what_a_phase_has_freed_does_not_count_for_the_next_one_though_the_process_keeps_it():
    """In the environment of worker processes."""
    done = subprocess.run(
        [sys.executable, "-c", FREED], env={**os.environ, **ALLOCATOR}, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 150_000_000


def test_worker_processes_keep_memory_unless_the_user_says_otherwise(monkeypatch):
    for name in ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")
    prepare_environment()
    assert {name: os.environ[name] for name in ALLOCATOR} == {**ALLOCATOR, "MALLOC_TOP_PAD_": "4096"}
