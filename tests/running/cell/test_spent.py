"""What a cell that was interrupted has taken so far: told from its checkpoints, phase by phase."""

from __future__ import annotations

import pytest

import bench.running.cell.checkpoints
from bench.core.reporter import Reporter
from bench.core.signals import Stopped
from bench.running.cell.cell import run_cell
from bench.running.cell.spent import seconds_before


@pytest.mark.parametrize("where", [("distil", 4), ("evaluate", 3), ("evaluate", 9)])
def test_an_interrupted_cell_tells_what_it_has_taken(plan, registries, context, monkeypatch, where):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (planned,) = plan("tiny-walk")
    assert seconds_before(context, planned.cell) is None

    def stop(phase, step, total, loss):
        if (phase, step) == where:
            raise Stopped

    with pytest.raises(Stopped):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    before = seconds_before(context, planned.cell)
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lambda _: None))
    spent = sum(cost.wall_seconds for cost in record.costs.values())
    assert 0 < before < spent
    if where[0] == "evaluate":
        assert before > record.costs["distil"].wall_seconds  # all of that, and some of judging
    assert seconds_before(context, planned.cell) is None  # it is done
