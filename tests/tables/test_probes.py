"""Temporal tables from hand-made records: every figure by hand, and what is shown where there is none."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics

import pytest

from bench.results.records import Motion
from bench.tables.bootstrap import bootstrap_interval
from bench.tables.formats import render
from bench.tables.leaderboard import leaderboards
from bench.tables.probe_figures import UNPROBED
from bench.tables.probes import NOTHING, temporal_tables
from bench.tables.stats import interval, t_quantile

SHUFFLED, REVERSED, FROZEN, HALF = (50, 62, 60), (20, 20, 20), (51, 50, 52), (80, 85, 84)
STILL, MOVING = (40, 52, 43), (70, 75, 71)
CORRECT = (80, 90, 85)


@pytest.fixture
def probed(make_record):
    """A record as the function `record` makes it, each network with counts under the probes; ``less`` is taken off each."""

    def build(method="dm", correct=CORRECT, less=0, motion=None, **rest):
        record = make_record(method, correct, **rest)
        evaluations = tuple(
            dataclasses.replace(
                entry,
                probes={
                    "shuffled": SHUFFLED[k] - less, "reversed": REVERSED[k] - less, "frozen": FROZEN[k] - less,
                    "half-rate": HALF[k] - less,
                },
                frozen_trained=MOVING[k] - less,
                frozen_both=STILL[k] - less,
            )
            for k, entry in enumerate(record.evaluations)
        )  # fmt: skip
        return dataclasses.replace(record, evaluations=evaluations, motion=motion)

    return build


def student(differences):
    """Mean and half width of a 95 % interval."""
    half = t_quantile(0.95, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return statistics.mean(differences), half


def only(records):
    (table,) = temporal_tables(leaderboards(records))
    (row,) = table.rows
    return row


def test_every_figure_is_paired_with_the_same_networks(probed):
    row = only([probed()])
    for name, counts in {"shuffled": SHUFFLED, "reversed": REVERSED, "frozen": FROZEN, "half-rate": HALF}.items():
        mean, half = student([(a - b) / 100 for a, b in zip(counts, CORRECT, strict=True)])
        assert row.probes[name].accuracy == pytest.approx(sum(counts) / 300)
        assert row.probes[name].difference.mean == pytest.approx(mean)
        assert row.probes[name].difference.half_width == pytest.approx(half)
        assert row.probes[name].difference.covers == "networks"
    mean, half = student([(a - b) / 100 for a, b in zip(CORRECT, STILL, strict=True)])
    assert (row.gain.mean, row.gain.half_width) == pytest.approx((mean, half))
    assert mean == pytest.approx(0.4)
    mean, half = student([(a - b) / 100 for a, b in zip(CORRECT, MOVING, strict=True)])
    assert (row.moving_gain.mean, row.moving_gain.half_width) == pytest.approx((mean, half))


def test_with_three_seeds_the_interval_is_over_seeds_and_networks(probed):
    row = only([probed(seed=seed, less=less) for seed, less in ((0, 0), (1, 4), (2, 11))])
    gaps = [a - b for a, b in zip(SHUFFLED, CORRECT, strict=True)]
    expected = interval([[(gap - less) / 100 for gap in gaps] for less in (0, 4, 11)])
    found = row.probes["shuffled"].difference
    assert (found.mean, found.half_width) == pytest.approx((expected.mean, expected.half_width))
    assert found.covers == row.gain.covers == "both"
    assert row.gain.mean == pytest.approx(0.45)


def test_the_estimator_of_the_leaderboards_makes_the_intervals(probed):
    boards = leaderboards([probed()], estimator=bootstrap_interval)
    (row,) = temporal_tables(boards, bootstrap_interval)[0].rows
    assert row.gain == bootstrap_interval([[(a - b) / 100 for a, b in zip(CORRECT, STILL, strict=True)]])


def test_motion_is_a_mean_over_the_classes_that_both_have_and_over_seeds(probed):
    first = Motion(set=(0.2, None, 0.4, 0.9), real=(0.1, 0.8, 0.3, None))
    second = Motion(set=(0.6, 0.6, 0.6, 0.6), real=(0.1, 0.8, 0.3, 0.4))
    records = [probed(motion=first, seed=0), probed(motion=second, seed=1)]
    row = only(records)
    assert row.motion_set == pytest.approx((0.3 + 0.6) / 2)
    assert row.motion_real == pytest.approx((0.2 + 0.4) / 2)
    assert only([*records, probed(motion=None, seed=2)]).motion_set is None


def test_tables_and_rows_stand_as_on_the_leaderboards(probed):
    records = [
        probed("full", (95, 96, 97), ipc=None, seed=None),
        probed("random", (30, 31, 32)),
        probed(config={"lr": 1.0, "steps": 300}),
        probed(config={"lr": 2.0, "steps": 300}, less=1),
        probed(ipc=5),
        probed(dataset="other"),
    ]
    boards = leaderboards(records)
    tables = temporal_tables(boards)
    assert [table.board.title for table in tables] == [board.title for board in boards]
    assert [[row.row.label for row in table.rows] for table in tables] == [[r.label for r in b.rows] for b in boards]
    (mixed,) = [t for t in tables if t.board.group.dataset == "shapes-mixed" and t.board.ipc == 1]
    by_label = {row.row.label: row for row in mixed.rows}
    assert by_label["full"].gain.mean == pytest.approx(0.51)
    assert by_label["dm [lr=1]"].gain.mean == pytest.approx(0.40)
    assert by_label["dm [lr=2]"].gain.mean == pytest.approx(0.41)


def test_old_records_and_holes_are_told_and_a_board_without_any_probe_is_left_out(probed, make_record):
    records = [
        probed(seed=0), make_record("dm", CORRECT, seed=1), *(make_record("random", CORRECT, seed=seed) for seed in (0, 1)),
        make_record("mtt", status="oom", reason="too large"), make_record("dm", CORRECT, ipc=5),
    ]  # fmt: skip
    (table,) = temporal_tables(leaderboards(records))
    rows = {row.row.label: row for row in table.rows}
    assert table.board.ipc == 1
    for label in ("dm", "random"):  # of dm one seed has probes: no mean is taken over it alone
        assert (dict(rows[label].probes), rows[label].gain, rows[label].moving_gain) == ({}, None, None)
    assert rows["dm"].notes == (f"1 of 2 cells {UNPROBED}",)
    assert rows["random"].notes == (UNPROBED,)
    assert rows["mtt"].notes == ()


def test_a_row_with_a_missing_training_has_no_figure(probed):
    records = [probed(seed=0), probed(seed=1), probed("random", seed=0), probed("random", (80, 90), seed=1)]
    (table,) = temporal_tables(leaderboards(records))
    dm, random = sorted(table.rows, key=lambda row: row.row.label)
    assert (dm.gain.seeds, dm.gain.mean) == (2, pytest.approx(0.4))
    assert (dict(random.probes), random.gain, random.motion_set) == ({}, None, None)


# ----------------------------------------------------------------------------------------------------------------------
# As text


@pytest.fixture
def records(probed, make_record):
    return [
        probed(motion=Motion((0.02, 0.04), (0.05, 0.06))),
        make_record("random", (30, 31, 32)),
        make_record("m|x", status="oom", reason="no <memory>"),
    ]


def test_the_terminal_shows_differences_in_brackets(records):
    lines = render(records, by="probes").splitlines()
    (dm,) = [line for line in lines if line.startswith("dm")]
    assert "57.3 (-27.7 ± 6.3)" in dm
    assert "20.0 (-65.0 ± 12.4)" in dm
    assert "+40.0 ± 5.0" in dm
    assert "+13.0 ± 6.6" in dm
    assert "0.0300 / 0.0550" in dm
    (failed,) = [line for line in lines if line.startswith("m|x")]
    assert "oom [" in failed
    assert any(line.startswith("[") and "no <memory>" in line for line in lines)
    assert any(line.startswith("[") and UNPROBED in line for line in lines)
    assert "chance is 50.0 %" in lines[-3]


def test_columns_that_are_empty_in_every_row_are_left_out(probed):
    record = probed()
    evaluations = tuple(dataclasses.replace(entry, frozen_trained=None) for entry in record.evaluations)
    text = render([dataclasses.replace(record, evaluations=evaluations)], by="probes")
    header = text.splitlines()[2]
    assert "temporal gain" in header
    assert "with a moving test" not in header
    assert "motion" not in header


def test_markdown_escapes_and_csv_holds_the_raw_numbers(records):
    markdown = render(records, "md", "probes")
    assert "m\\|x" in markdown
    assert "no &lt;memory&gt;" in markdown
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(render(records, "csv", "probes")))}
    assert float(rows["dm"]["shuffled"]) == pytest.approx(172 / 300)
    assert float(rows["dm"]["reversed_minus_accuracy"]) == pytest.approx(-0.65)
    assert float(rows["dm"]["temporal_gain"]) == pytest.approx(0.4)
    assert float(rows["dm"]["temporal_gain_high"]) == pytest.approx(0.4 + 0.0497, abs=1e-3)
    assert rows["dm"]["temporal_gain_covers"] == "networks"
    assert float(rows["dm"]["temporal_gain_moving_test"]) == pytest.approx(0.13)
    assert (float(rows["dm"]["motion_set"]), float(rows["dm"]["motion_real"])) == pytest.approx((0.03, 0.055))
    assert (rows["random"]["temporal_gain"], float(rows["random"]["accuracy"])) == ("", pytest.approx(0.31))
    assert UNPROBED in rows["random"]["notes"]
    assert render(records, "csv") == render(records, "csv", "probes")


def test_without_any_probe_a_sentence_says_how_to_get_them(make_record):
    old = [make_record("dm", CORRECT)]
    assert render(old, by="probes") == NOTHING + "\n"
    assert NOTHING in render(old, "md", "probes")
    assert render(old, "csv", "probes").count("\n") == 1
