"""Sets judged by several networks: never in one leaderboard, side by side in a table of their own, paired by seed."""

from __future__ import annotations

import csv
import io
import json

import pytest
from scipy import stats

from bench.tables.formats import render
from bench.tables.leaderboard import leaderboards
from bench.tables.nets import nets_tables

OWN = {"dm": ((60, 62), (64, 66), (58, 60)), "random": ((40, 44), (46, 42), (41, 43))}
GRU = {"dm": ((50, 54), (55, 59), (53, 49)), "random": ((41, 41), (44, 46), (40, 40))}


@pytest.fixture
def records(make_record):
    """Two methods, three seeds, two networks; the full data; a third network that declines one method's clips."""
    made = []
    for judge, found in ((None, OWN), ("cnn-gru", GRU)):
        for method, of_seeds in found.items():
            made += [
                make_record(method, correct, seed=seed, evaluation_network=judge)
                for seed, correct in enumerate(of_seeds)
            ]
    made += [make_record("full", (90, 92), ipc=None, seed=None, stored=2**24)]
    made += [make_record("full", (80, 84), ipc=None, seed=None, stored=2**24, evaluation_network="cnn-gru")]
    return [*made, make_record("dm", status="skipped", reason="too small", seed=0, evaluation_network="mvit")]


def test_a_leaderboard_never_mixes_networks(records):
    boards = leaderboards(records)
    assert [board.group.network for board in boards] == ["convnet3d-small", "cnn-gru", "mvit"]
    assert [board.title.split(" · ")[-1] for board in boards] == [
        "convnet3d-small", "cnn-gru (distilled with convnet3d-small)", "mvit (distilled with convnet3d-small)",
    ]  # fmt: skip
    own, gru = ({row.method: row.figures for row in board.rows} for board in boards[:2])
    assert own["dm"].accuracy.mean == pytest.approx(0.61667, abs=1e-4)
    assert gru["dm"].accuracy.mean == pytest.approx(0.53333, abs=1e-4)
    assert gru["dm"].share == pytest.approx(0.53333 / 0.82, abs=1e-4)  # of the full data under the same network
    assert gru["dm"].gain.mean == pytest.approx(0.53333 - 0.42, abs=1e-4)


def test_networks_are_columns_and_differences_are_paired_by_seed(records):
    (table,) = nets_tables(leaderboards(records))
    assert table.networks() == ("convnet3d-small", "cnn-gru", "mvit")
    assert [row.label for row in table.rows] == ["full", "dm", "random"]
    dm = table.rows[1].judged
    assert dm["convnet3d-small"].difference is None
    pairs = [(sum(b) - sum(a)) / 200 for a, b in zip(OWN["dm"], GRU["dm"], strict=True)]
    expected = stats.t.interval(0.95, 2, loc=sum(pairs) / 3, scale=stats.sem(pairs))
    found = dm["cnn-gru"].difference
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.covers == "seeds"
    assert dm["mvit"].difference is None
    full = table.rows[0].judged["cnn-gru"].difference  # nothing is random: one pair, no interval
    assert (full.mean, full.half_width) == (pytest.approx(-0.09), None)
    assert set(table.rows[2].judged) == {"convnet3d-small", "cnn-gru"}


def test_no_difference_is_taken_over_a_part_of_the_seeds(records):
    lost = [r for r in records if not (r.cell.method == "dm" and r.cell.seed == 2 and r.cell.evaluation_network)]
    (table,) = nets_tables(leaderboards(lost))
    assert table.rows[1].judged["cnn-gru"].difference is None


def test_the_table_is_as_it_was_read_and_agreed(records):
    assert render(records, by="nets").splitlines()[2:12] == [
        "method      MiB    convnet3d-small                  cnn-gru         mvit",
        "--------  -----  -----------------  -----------------------  -----------",
        "full       16.0        91.0 ± 12.7       82.0 ± 25.4 (-9.0)",
        "dm         1.00         61.7 ± 6.6  53.3 ± 7.1 (-8.3 ± 1.4)  skipped [1]",
        "random     1.00         42.7 ± 2.5  42.0 ± 6.2 (-0.7 ± 3.8)",
        "",
        "[1] seed 0 skipped: too small",
        " ·  distilled with convnet3d-small; every network is trained from scratch by the same recipe",
        " ·  distillation seeds × networks trained on each set: 1 × 2, 3 × 2",
        " ·  chance is 50.0 % (2 classes); always answering the largest class of the test clips scores 50.0 %",
    ]


def test_without_a_second_network_there_is_no_such_table(make_record):
    assert (
        render([make_record("dm", (60, 62))], by="nets") == "no set was judged by two networks; run some with --nets\n"
    )


def test_programs_are_told_what_distilled(records):
    lines = list(csv.DictReader(io.StringIO(render(records, "csv", "nets"))))
    assert {(line["network"], line["distilled_with"]) for line in lines} == {
        ("convnet3d-small", ""), ("cnn-gru", "convnet3d-small"), ("mvit", "convnet3d-small"),
    }  # fmt: skip
    assert "distilled_with" not in render([r for r in records if r.cell.evaluation_network is None], "csv")
    assert json.loads(render(records, "json", "nets"))["rows"][0]["network"] == "convnet3d-small"


def test_the_mean_ranks_over_datasets_keep_networks_apart(make_record):
    made = [
        make_record(method, (50 + shift, 52), dataset=dataset, evaluation_network=judge)
        for shift, method in enumerate(("dm", "dc", "random"))
        for dataset in ("a", "b")
        for judge in (None, "cnn-gru")
    ]
    ranks = json.loads(render(made, "json"))["mean_ranks"]
    assert [(entry["network"], entry.get("distilled_with")) for entry in ranks] == [
        ("convnet3d-small", None), ("cnn-gru", "convnet3d-small"),
    ]  # fmt: skip
