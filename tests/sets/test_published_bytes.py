"""Byte counts: the published storage table to the byte, from shapes alone."""

from __future__ import annotations

import pytest
import torch
from bench.baselines.random import Random
from bench.methods.dm import DM, DMConfig

from bench.api import ClipShape, NoOptions, Workload
from bench.core.temporal import dense
from bench.running.cell.costs import count_set
from bench.sets.dense import DenseSet

MINIUCF = (50, (3, 16, 112, 112))
HMDB51 = (51, (3, 16, 112, 112))
KINETICS = (400, (3, 8, 64, 64))


def dense_set(classes: int, ipc: int, clip: tuple[int, int, int, int], dtype: torch.dtype = torch.float32) -> DenseSet:
    return DenseSet(torch.empty(classes * ipc, *clip, dtype=dtype, device="meta"), torch.arange(classes).repeat(ipc))


@pytest.mark.parametrize(
    ("data", "ipc", "mebibytes"),
    [
        (MINIUCF, 1, 114.8),
        (MINIUCF, 5, 574.2),
        (HMDB51, 1, 117.1),
        (HMDB51, 5, 585.7),
        (KINETICS, 1, 150.0),
        (KINETICS, 5, 750.0),
    ],
)
def test_dense_sets_take_the_published_memory(
    data: tuple[int, tuple[int, int, int, int]], ipc: int, mebibytes: float
) -> None:
    report = count_set(dense_set(data[0], ipc, data[1]), None)
    assert round(report.storage_bytes / 2**20, 1) == mebibytes
    assert report.storage_bytes == report.storage_bytes_fp32


def test_miniucf_at_ipc_1_to_the_byte() -> None:
    assert count_set(dense_set(50, 1, MINIUCF[1]), None).storage_bytes == 120_422_400


def test_a_uint8_coreset_is_counted_as_stored_and_as_published() -> None:
    report = count_set(dense_set(50, 1, MINIUCF[1], torch.uint8), None)
    assert (report.storage_bytes, report.storage_bytes_fp32) == (30_105_600, 120_422_400)


def test_soft_labels_count_and_integer_labels_do_not() -> None:
    clips = torch.zeros(4, 3, 4, 8, 8)
    hard = count_set(DenseSet(clips, torch.arange(4)), None)
    soft = count_set(DenseSet(clips, torch.full((4, 4), 0.25)), None)
    assert soft.storage_bytes - hard.storage_bytes == 4 * 4 * 4
    assert sum(entry.bytes for entry in soft.tensors.values()) == soft.storage_bytes
    assert "labels" not in hard.tensors


def test_the_plan_counts_the_same() -> None:
    work = Workload(50, 4662, 1, ClipShape(*MINIUCF[1]), dense(16))
    assert DM(DMConfig()).stored_bytes(work) == 120_422_400
    assert Random(NoOptions()).stored_bytes(work) == 30_105_600
