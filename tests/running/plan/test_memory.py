"""Predicted peaks: beside those that are counted on the pretend device, and what the plan says of them."""

from __future__ import annotations

import gc
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from bench import plugins
from bench.api import ClipRef, Workload
from bench.core import config, temporal
from bench.data.clip_store import ClipStore
from bench.data.clip_table import ClipTable
from bench.distill.matching import PerStep
from bench.nets.memory import kept
from bench.running.plan import memory
from bench.testing import pretend
from bench.testing.rehearsal import Rehearsal, shape_of

REGISTRIES = plugins.load()
CLASSES, EACH, FRAMES, SIDE = 4, 40, 8, 32
SMALL = {
    "steps": 2, "batch_real": 32, "static_steps": 1, "static_batch": 64, "syn_steps": 5, "experts": 1, "max_start_epoch": 1,
}  # fmt: skip
GPU = memory.Room("cuda:0", 80 << 30, 80 << 30)
CPU = memory.Room("cpu", 8 << 30, 6 << 30)


def store():
    count = CLASSES * EACH
    refs = [ClipRef(f"train/{n}", n % CLASSES, "train", f"train/{n}") for n in range(count)]
    refs += [ClipRef(f"test/{n}", n, "test", f"test/{n}") for n in range(CLASSES)]
    clips = np.zeros((len(refs), 1, FRAMES, SIDE, SIDE, 3), np.uint8)
    return ClipStore(classes=tuple("abcd"), clips=clips, refs=ClipTable(refs), left_out=(), digest="zeros")


@pytest.mark.skipif(pretend.missing() is not None, reason=str(pretend.missing()))
@pytest.mark.parametrize(("name", "ipc"), [("dm", 5), ("dc", 1), ("mtt", 5), ("frepo", 5), ("static-only", 1)])
def test_the_prediction_is_within_half_and_twice_what_is_counted(name, ipc, tmp_path):
    kind, data = REGISTRIES.methods.get(name), store()
    values = {field: value for field, value in SMALL.items() if field in kind.Config.__dataclass_fields__}
    method = kind(config.build(kind.Config, values, name))
    blocks = [mock.patch.object(shared, "most", 1) for shared in PerStep.__subclasses__()]
    with pretend.sizes_only():
        for block in blocks:
            block.start()
        task = Rehearsal(name, REGISTRIES, tmp_path).task(ipc=ipc, store=data, device=str(pretend.device()))
        gc.collect()
        with pretend.counting() as counts:
            before = counts.live
            stored = sum(t.numel() * t.element_size() for t in method.distill(task).stored().values())
        for block in blocks:
            block.stop()
    work = Workload(CLASSES, CLASSES * EACH, ipc, shape_of(data), temporal.dense(FRAMES))
    networks = (kept(REGISTRIES.networks.get(n)(), c) for n, c in (
        ("convnet3d-small", work.clip), ("cnn-mean-small", replace(work.clip, frames=1))
    ))  # fmt: skip
    predicted = memory.distil_bytes(method.footprint(work), work, *networks, GPU) + 3 * stored
    assert 0.5 < predicted / (counts.peak - before) < 2


def test_a_cell_is_predicted_with_its_judging(plan, registries):
    small, large = plan("random", ipcs=(1, 2))
    for planned in (small, large):
        on_gpu, on_cpu = (memory.peak(planned, registries, room) for room in (GPU, CPU))
        assert 0 < on_gpu < 1 << 30
        assert memory.PROCESS < on_cpu < memory.PROCESS + on_gpu + 1
    assert memory.peak(small, registries, GPU) < memory.peak(large, registries, GPU)
    assert memory.peak(replace(small, declined="it cannot"), registries, GPU) == 0


def test_of_a_footprint_that_raises_nothing_is_known(plan, registries, monkeypatch):
    (planned,) = plan("random")
    assert memory.peak(planned, registries, GPU) > 0
    monkeypatch.setattr(registries.methods.get("random"), "footprint", lambda self, work: 1 / 0)
    assert memory.peak(planned, registries, GPU) == 0


def test_what_does_not_fit_is_said_with_figures(plan, registries):
    cells = plan("random", "dm", ipcs=(1,))
    found = {planned.cell.id(): size << 30 for planned, size in zip(cells, (2, 7), strict=True)}
    assert memory.too_large(cells, dict.fromkeys(found, 6 << 30), CPU, 1) is None
    assert memory.too_large(cells, found, CPU, 1) == (
        f"one cell may not fit into memory: {cells[1].cell.title()} takes about 7.0 GiB, and 6.0 of the 8.0 GiB of cpu are free"
    )
    assert memory.too_large(cells, found, CPU, 4).startswith("2 cells may not fit into memory: ")
    assert "7.0 GiB each, 4 at a time" in memory.too_large(cells, found, CPU, 4)


def test_a_run_says_so_before_it_starts(bench_main, tiny_plugin, monkeypatch, tmp_path):
    monkeypatch.setattr("bench.running.session.room_of", lambda device: memory.Room("cpu", 1 << 30, 1 << 20))
    outcome = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "random", "--dry-run", "--out", tmp_path
    )
    assert "peak GiB" in outcome.out
    assert "at most about 0." in outcome.out
    assert "warning: one cell may not fit into memory: random" in outcome.err


def test_a_gpu_is_asked_by_its_own_tool(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 81559, 80994\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert memory.room_of("cuda:1") == memory.Room("cuda:1", 81559 << 20, 80994 << 20)
    assert memory.room_of("auto").name == "cuda:0"
    assert memory.room_of("cpu").name == "cpu"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert memory.room_of("cuda") is None
    assert memory.room_of("auto").name == "cpu"
