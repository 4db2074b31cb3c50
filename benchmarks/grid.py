"""What a grid of cells costs beside its dearest cell alone: ``python benchmarks/grid.py``, five to ten minutes on one core.

`dm` and `dm+sd` at IPC 1 and 5 in five temporal settings, 20 cells, with 64 real clips a class as published and short judging.
Both runs start with a decoded dataset and an otherwise empty cache. Prints the seconds of both, how they grow from cell to
cell, and whether the records of the cell that ran alone and in company say the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.results.merge import facts
from bench.results.records import Record, RecordStore

ROOT = Path(__file__).parent.parent
STEPS = 100
SETTINGS = "dense,keyframes-8,keyframes-4,keyframes-2,static"
COMMON = ("--plugin", str(ROOT / "tests" / "tiny_plugin.py"), "--protocol", "tinier", "--plain",
          "--datasets", "shapes-motion[frames=16]", "--jobs", "1")  # fmt: skip


def learning(*methods: str) -> list[str]:
    """The options of a run of these methods."""
    values = [f"{name}.{value}" for name in methods for value in (f"steps={STEPS}", "batch_real=64")]
    return ["--methods", ",".join(methods), *(word for value in values for word in ("--set", value))]


def timed(folder: Path, arguments: Sequence[str]) -> tuple[float, list[Record]]:
    """Seconds of one run, after a first one that only decodes; and its records, in the order in which they ended."""
    out, environment = folder / "out", {**os.environ, "BENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> None:
        command = [sys.executable, "-m", "bench", "run", *COMMON, *words, "--out", str(out)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)

    run("--methods", "random", "--ipc", "1")
    start = time.perf_counter()
    run(*arguments)
    took = time.perf_counter() - start
    records = [record for record in RecordStore(out).all() if record.cell.method != "random"]
    return took, sorted(records, key=lambda record: str(record.provenance["ended"]))


def own_seconds(record: Record) -> float:
    """What a cell took itself, without what it found ready."""
    return sum(cost.device_seconds for cost in record.costs.values() if not cost.shared)


def main() -> None:
    """Runs the dearest cell, then the grid."""
    with tempfile.TemporaryDirectory() as folder:
        alone, (dearest,) = timed(Path(folder) / "alone", [*learning("dm+sd"), "--ipc", "5", "--settings", "dense"])
        grid = [*learning("dm", "dm+sd"), "--ipc", "1,5", "--settings", SETTINGS]
        company, records = timed(Path(folder) / "company", grid)
    same = [facts(record) == facts(dearest) for record in records if record.id == dearest.id]
    print(f"dearest cell alone: {alone:.1f} s")
    print(f"{len(records)} cells: {company:.1f} s, {company / alone:.2f} times as long")
    work, most = sum(map(own_seconds, records)), own_seconds(dearest)
    print(f"CPU seconds in their records: {most:.1f} and {work:.1f}, {work / most:.2f} times as many")
    print(f"the same record alone and in company: {'yes' if same == [True] else 'NO'}")
    for record in records:
        cell = record.cell
        print(f"{cell.method:6} ipc {cell.ipc} {cell.setting:18} {own_seconds(record):6.1f} s of its own")


if __name__ == "__main__":
    main()
