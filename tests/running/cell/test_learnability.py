"""What the procedural datasets promise, at full size, through whole cells: where the class is in the movement and where not."""

from __future__ import annotations

import dataclasses

import pytest

from bench.running.cell.cell import run_cell
from bench.tables.leaderboard import leaderboards
from bench.tables.probes import temporal_tables
from bench.tables.stats import interval

CHANCE = 1 / 8


@pytest.fixture
def probed(plan, registries, context, reporter):
    """Runs methods on a dataset; their records and rows of the table of temporal probes, by method."""

    where = dataclasses.replace(context, gain_of_full=True)

    def run(dataset, *methods, **request):
        cells = plan(*methods, dataset=dataset, **request)
        records = [run_cell(planned, registries, where, reporter) for planned in cells]
        assert [record.reason for record in records] == [""] * len(cells)
        (table,) = temporal_tables(leaderboards(records))
        for row in table.rows:
            found = {"accuracy": row.row.figures.accuracy, "temporal gain": row.gain, "moving test": row.moving_gain}
            found |= {name: probe.difference for name, probe in row.probes.items()}
            print(row.row.label, *(f"{name} {x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]" for name, x in found.items()))
        return {record.cell.method: record for record in records}, {row.row.method: row for row in table.rows}

    return run


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_where_the_class_is_in_the_movement_the_stored_motion_is_worth_nearly_all(probed):
    records, rows = probed("shapes-motion", "full", "random-frozen")
    full, frozen = rows["full"], rows["random-frozen"]
    assert full.row.figures.accuracy.mean > 0.9
    assert full.gain.mean > 0.5
    assert full.gain.low > 0
    assert full.moving_gain.low > 0.5
    assert full.probes["frozen"].accuracy < 0.2
    assert frozen.row.figures.accuracy.low <= CHANCE <= frozen.row.figures.accuracy.high
    assert frozen.gain.low <= 0
    assert (frozen.moving_gain.low, frozen.moving_gain.high) == (0, 0)
    # Trained and tested on still clips, a network meets nothing new in the test, and still cannot tell the movement.
    still = interval([[entry.frozen_both / entry.tested() for entry in records["full"].evaluations]])
    print(f"one frame repeated: {still.mean:.3f} [{still.low:.3f}, {still.high:.3f}]")
    assert still.low <= CHANCE <= still.high


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_where_the_class_is_in_the_look_the_motion_tells_nothing_of_it(probed):
    full = probed("shapes-appearance", "full")[1]["full"]
    assert full.row.figures.accuracy.mean > 0.7
    assert full.gain.low <= 0 <= full.gain.high
    assert full.moving_gain.low <= 0 <= full.moving_gain.high
    assert abs(full.gain.mean) < 0.05
    assert full.probes["reversed"].difference.low <= 0 <= full.probes["reversed"].difference.high


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_still_images_sit_at_chance_where_the_class_is_in_the_movement(probed):
    """Whether chosen or learned, and whichever objective learns them."""
    _, rows = probed("shapes-motion", "static-only", seeds=(0, 1, 2))
    _, still = probed("shapes-motion", "random", "dm", settings=("static",), seeds=(0, 1, 2))
    for row in (*rows.values(), *still.values()):
        assert row.row.figures.accuracy.low <= CHANCE <= row.row.figures.accuracy.high


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_where_the_class_is_in_the_movement_a_dynamic_memory_is_worth_what_still_images_are_not(
    plan, registries, context, reporter
):
    """`static-only` at chance, `dm+sd`, which adds a dynamic memory to the very same images, above it; paired by seed and network."""
    cells = plan("static-only", "dm+sd", dataset="shapes-motion", seeds=tuple(range(10)))
    found = {name: [] for name in ("static-only", "dm+sd")}
    for planned in cells:
        record = run_cell(planned, registries, context, reporter)
        found[record.cell.method].append([entry.accuracy() for entry in record.evaluations])
    still, both = found.values()
    gain = interval([[b - a for a, b in zip(*pair, strict=True)] for pair in zip(still, both, strict=True)])
    for name, accuracy in (("static-only", interval(still)), ("dm+sd", interval(both)), ("difference", gain)):
        print(f"{name} {accuracy.mean:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]")
    assert interval(still).low <= CHANCE <= interval(still).high
    assert interval(both).low > CHANCE
    assert gain.low > 0
