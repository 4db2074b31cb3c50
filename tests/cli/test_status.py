"""``python -m bench status``: a grid in flight, told from files alone."""

from __future__ import annotations

import dataclasses
import re
import shutil
import time

import pytest

from bench.cli import status
from bench.results import claims, under_way
from bench.results.claims import Claim, Claims, me
from bench.results.records import Record, RecordStore
from bench.results.under_way import Listed

DEAD = dataclasses.replace(me(), pid=me().pid, started=-1)
ELSEWHERE = dataclasses.replace(me(), host="node7", machine="elsewhere", pid=42)


@pytest.fixture
def folder(finished, tmp_path, plan):
    """A copy of a finished folder, as if another cell failed, one ran and two were waiting."""
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    failed, running, interrupted, waiting = (planned.cell for planned in plan("tiny-noise", seeds=(0, 1, 2, 3)))
    store = RecordStore(out)
    store.write(Record(failed, "oom", "too much"))
    store.write(Record(interrupted, "interrupted", "stopped"))
    cells = [*(record.cell for record in store.all()), running, waiting]
    under_way.announce(out, "name", [Listed(cell.id(), cell.title(), 60.0) for cell in cells])
    claim = Claim(
        running.id(), running.title(), 1, ELSEWHERE, since=time.time() - 600, beat=9, beat_time=time.time() - 7,
        phase="distil", step=300, total=1000, phase_since=time.time() - 307, first_step=0,
    )  # fmt: skip
    path = Claims(out).path(claim)
    path.parent.mkdir(parents=True)
    path.write_text(claims._text(claim))
    return out, [cell.id()[:12] for cell in (failed, running, interrupted, waiting)]


def test_every_cell_is_done_running_failed_or_waiting(bench_main, folder):
    out, (failed, running, interrupted, waiting) = folder
    outcome = bench_main("status", "--out", out)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert re.fullmatch(r"8 cells: 4 done, 1 running, 1 failed, 2 waiting; about \d+ (s|min) left", lines[0])
    (row,) = [line for line in lines if line.startswith(running)]
    assert "tiny-noise · tiny · ipc 1 · seed 1" in row
    assert "node7:42" in row
    assert "10 min" in row
    # 300 steps took 300 s up to the last sign of life: 700 more take 700 s.
    assert "distil 300/1000, 12 min left" in row
    assert re.search(r"\d+ s ago$", row)
    (row,) = [line for line in lines if line.startswith(failed)]
    assert row.endswith("oom (too much)")
    (row,) = [line for line in lines if line.startswith(interrupted)]
    assert row.endswith("interrupted")
    assert any(line.startswith(waiting) for line in lines)


def test_the_cell_of_a_dead_process_is_waiting_and_says_so(bench_main, folder):
    out, (_, running, _, _) = folder
    claim = Claims(out).holder(next(Claims(out).all()).cell_id)
    Claims(out).path(claim).write_text(claims._text(dataclasses.replace(claim, owner=DEAD)))
    outcome = bench_main("status", "--out", out)
    assert outcome.out.startswith("8 cells: 4 done, 0 running, 1 failed, 3 waiting\n")
    (row,) = [line for line in outcome.out.splitlines() if line.startswith(running)]
    assert row.endswith(f"its process {DEAD.host}:{DEAD.pid} is dead")


def test_why_nothing_runs_is_told(folder):
    cells = {"a": Listed("a", "a cell", 1.0)}
    state = status.sort(cells, {}, {})
    assert f"the run waits for workers (process {me().pid})" in status.written(state, [DEAD, me()], 0.0)
    assert "is seen on its machine (process 42 on node7)" in status.written(state, [DEAD, ELSEWHERE], 0.0)
    assert "nothing runs here; the same command goes on from here" in status.written(state, [DEAD], 0.0)


def test_a_finished_folder_is_counted(bench_main, finished):
    assert bench_main("status", "--out", finished[0]).out == "4 cells: 4 done, 0 running, 0 failed, 0 waiting\n"


def test_no_folder_is_refused(bench_main, tmp_path):
    outcome = bench_main("status", "--out", tmp_path / "no")
    assert (outcome.code, outcome.err) == (
        2,
        f"error: --out {tmp_path / 'no'}: no such folder; it is the --out of the run\n",
    )


def test_a_run_writes_down_what_it_means_to_do_until_it_is_done(bench_main, tiny_plugin, tmp_path):
    arguments = ["run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise,tiny-walk", "--out"]
    assert bench_main(*arguments, tmp_path / "out", "--limit-minutes", "1e-9").code == 1
    (grid,) = under_way.read_all(tmp_path / "out")
    assert sorted(cell.title for cell in grid.cells) == [
        "tiny-noise · tiny · ipc 1 · seed 0",
        "tiny-walk · tiny · ipc 1 · seed 0",
    ]
    assert bench_main(*arguments, tmp_path / "out").code == 0
    assert under_way.read_all(tmp_path / "out") == []
    assert not (tmp_path / "out" / "grids").exists()
    assert not (tmp_path / "out" / "claims").exists()
