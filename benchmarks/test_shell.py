"""What surrounds the computing: plans, tables, the start of a command, and what a cell costs beside its work."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from bench.api import Evaluation
from bench.data.spec import parse_dataset
from bench.results.cells import Cell
from bench.results.records import Record, RecordStore
from bench.running.options.request import Request
from bench.running.plan.plan import plan
from bench.tables.leaderboard import leaderboards

CELL = Cell(
    method="dm", config={"lr": 1.0, "steps": 300}, version=1, dataset="shapes-mixed", fingerprint="f" * 64,
    geometry={"frames": 8, "gap": 8, "scale": 32, "size": 32, "views": 1}, profile="quick", network="convnet3d-small",
    protocol="quick/1", ipc=1, setting="n8-r8-k1-nearest", seed=0,
)  # fmt: skip


@pytest.mark.parametrize("cells", [100, 1000, 10000])
def test_plan(beside, registries, cells):
    dataset = parse_dataset("shapes-mixed", registries)
    ipcs = tuple(range(1, cells // 50 + 1))
    request = Request(
        ("dm", "random", "herding", "dc", "mtt"), (dataset,), ipcs, tuple(range(10)), ("dense",), None, {}
    )
    assert len(plan(request, registries)) == cells
    beside(lambda: plan(request, registries), cells=cells)


def records(count):
    """Records of ten networks-and-classes worth of figures, of 20 methods and many seeds."""
    confusion = tuple(tuple(40 if row == column else 1 for column in range(12)) for row in range(12))
    evaluations = tuple(Evaluation(number, confusion, None, 1.0, True, 0.01, 200) for number in range(3))
    for number in range(count):
        cell = {**vars(CELL), "method": f"method-{number % 20}", "seed": number // 20 % 5, "ipc": number // 100 + 1}
        yield Record(Cell(**cell), "ok", evaluations=evaluations)


@pytest.mark.parametrize("count", [1000, 10000])
def test_table(beside, count):
    every = list(records(count))
    beside(lambda: leaderboards(every), rounds=2, records=count)


def test_reading_records(beside, tmp_path):
    store = RecordStore(tmp_path)
    for record in records(500):
        store.write(record)
    beside(lambda: list(store.all(history=False)), records=500)


@pytest.mark.parametrize("command", ["--help", "list", "run --dry-run --datasets shapes-mixed", "table"])
def test_start(benchmark, command, tmp_path):
    """CPU seconds of a process of its own, an empty interpreter's beside it."""
    import resource

    def seconds(*arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    out = ["--out", str(tmp_path)] if command.startswith("run") else []
    found = [seconds("-m", "bench", *command.split(), *out) for _ in range(3)]
    benchmark.pedantic(time.perf_counter, rounds=1)
    benchmark.extra_info.update(seconds=min(found), bare_seconds=min(seconds("-c", "pass") for _ in range(3)))
