"""What the procedural datasets promise, at full size, through whole cells: where the class is in the movement and where not."""

from __future__ import annotations

import pytest
import torch

from bench.cell import evaluate_set, open_store, run_cell
from bench.data.pixels import SplitClips
from bench.nets.registry import SmallConvNet3DNetwork
from bench.probes import RearrangedClips, frozen_order
from bench.protocol import Quick
from bench.synthetic.frozen import FrozenSet
from bench.synthetic.real import RealSet
from bench.tables.stats import interval
from bench.tables.temporal import temporal_tables

CHANCE = 1 / 8


@pytest.fixture
def probed(plan, registries, context, reporter):
    """Runs methods on a dataset; their rows of the table of temporal probes, by method."""

    def run(dataset, *methods):
        records = [run_cell(planned, registries, context, reporter) for planned in plan(*methods, dataset=dataset)]
        assert [record.reason for record in records] == [""] * len(methods)
        (table,) = temporal_tables(records)
        for row in table.rows:
            found = {"accuracy": row.row.figures.accuracy, "temporal gain": row.gain}
            found |= {name: probe.difference for name, probe in row.probes.items()}
            print(row.row.label, *(f"{name} {x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]" for name, x in found.items()))
        return {row.row.method: row for row in table.rows}

    return run


@pytest.mark.slow
def test_where_the_class_is_in_the_movement_the_stored_motion_is_worth_nearly_all(probed):
    rows = probed("shapes-motion", "full", "random-frozen")
    full, frozen = rows["full"], rows["random-frozen"]
    assert full.row.figures.accuracy.mean > 0.9
    assert full.gain.mean > 0.5
    assert full.gain.low > 0
    assert full.probes["frozen"].accuracy < 0.2
    assert frozen.row.figures.accuracy.low <= CHANCE <= frozen.row.figures.accuracy.high
    assert (frozen.gain.low, frozen.gain.high) == (0, 0)


@pytest.mark.slow
def test_where_the_class_is_in_the_look_the_stored_motion_is_worth_nothing(probed):
    full = probed("shapes-appearance", "full")["full"]
    assert full.row.figures.accuracy.mean > 0.9
    assert full.gain.low <= 0 <= full.gain.high


@pytest.mark.slow
def test_from_one_frame_nobody_tells_the_movement(plan, context, reporter):
    """Trained and tested on still clips, a network sees nothing in training that it does not see in the test."""
    (planned,) = plan("full", dataset="shapes-motion")
    store, device = open_store(planned, context, reporter), torch.device("cpu")
    train, test = SplitClips(store, "train", device), SplitClips(store, "test", device)
    evaluations = evaluate_set(
        FrozenSet(RealSet(train)), RearrangedClips(test, frozen_order), store.classes, planned.geometry.shape(),
        SmallConvNet3DNetwork(), Quick(), device, reporter,
    )  # fmt: skip
    still = interval([[entry.accuracy() for entry in evaluations]])
    print(f"one frame repeated: {still.mean:.3f} [{still.low:.3f}, {still.high:.3f}]")
    assert still.low <= CHANCE <= still.high
