"""Two folders of results: intervals against SciPy's paired test, what counts as chance, and every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
from scipy import stats

from bench.results.records import PhaseCost
from bench.tables.formats import FORMATS
from bench.tables.two_folders import compare, render, summary


def one_pair(one, other):
    (pair,) = compare([one], [other]).pairs
    return pair


def test_a_difference_is_paired_over_networks(make_record):
    pair = one_pair(make_record("dm", [30, 34, 40]), make_record("dm", [33, 35, 45]))
    test = stats.ttest_rel([33, 35, 45], [30, 34, 40])
    low, high = test.confidence_interval(0.95)
    assert (pair.correct, pair.tested, pair.networks) == ((104, 113), 300, 3)
    assert pair.points == pytest.approx(3.0)
    assert pair.half_width == pytest.approx((high - low) / 2)
    assert pair.p == pytest.approx(test.pvalue)
    assert pair.largest == pytest.approx(5.0)
    assert pair.verdict == "within"


def test_only_networks_that_both_trained_are_compared(make_record):
    first = make_record("dm", [30, 34, 40])
    second = dataclasses.replace(first, evaluations=first.evaluations[1:])
    pair = one_pair(first, second)
    assert (pair.networks, pair.correct, pair.points) == (2, (74, 74), 0.0)
    assert pair.verdict == "within"  # not equal: a network is missing


def test_equal_counts_by_other_clips_are_not_equal(make_record):
    first = make_record("dm", [30, 34])
    turned = dataclasses.replace(first.evaluations[0], confusion=((10, 40), (30, 20)))
    assert one_pair(first, first).verdict == "equal"
    assert one_pair(first, dataclasses.replace(first, evaluations=(turned, first.evaluations[1]))).verdict == "within"


@pytest.mark.parametrize(("other", "verdict"), [([31, 35], "within"), ([60, 64], "outside")])
def test_two_networks_that_moved_alike_are_no_proof(make_record, other, verdict):
    """Their differences have no spread, but they are whole clips."""
    pair = one_pair(make_record("dm", [30, 34]), make_record("dm", other))
    assert pair.half_width == pytest.approx(12.7062 / 12**0.5, rel=1e-4)
    assert (pair.p > 0.05) == (verdict == "within")
    assert pair.verdict == ("apart" if verdict == "outside" else "within")  # alone there is nothing to correct for


def test_one_difference_among_many_cells_must_stand_out_more(make_record):
    same = [make_record("random", [30, 33, 36], seed=seed) for seed in range(20)]
    moved = [make_record("random", [31, 32, 36], seed=seed) for seed in range(20)]
    far, further = make_record("dm", [30, 33, 36]), make_record("dm", [35, 39, 42])
    assert one_pair(far, further).verdict == "apart"
    comparison = compare([*same, far], [*moved, further])
    assert comparison.pairs[0].cell == far.id
    assert [pair.verdict for pair in comparison.pairs] == ["outside", *["within"] * 20]
    assert comparison.agrees()


def test_a_small_shift_of_all_cells_is_found(make_record):
    one = [make_record("random", [30, 33, 36], seed=seed) for seed in range(9)]
    other = [make_record("random", [31 + seed % 2, 33, 36], seed=seed) for seed in range(9)]
    comparison = compare(one, other)
    means = [(1 + seed % 2) / 3 for seed in range(9)]
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert {pair.verdict for pair in comparison.pairs} == {"within"}
    assert comparison.shift.mean == pytest.approx(sum(means) / 9)
    assert comparison.shift.half_width == pytest.approx((high - low) / 2)
    assert not comparison.agrees()
    assert "which chance does not explain" in " ".join(summary(comparison))


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [("ok", "failed", "ended otherwise"), ("failed", "oom", "ended otherwise"), ("skipped", "skipped", "equal")],
)
def test_how_cells_ended_is_compared_too(make_record, one, other, verdict):
    records = [
        make_record("dm", [30, 34] if status == "ok" else [], status=status, reason="why") for status in (one, other)
    ]
    comparison = compare(*([record] for record in records))
    assert comparison.pairs[0].verdict == verdict
    assert comparison.agrees() == (verdict == "equal")


def test_one_network_has_no_interval(make_record):
    pair = one_pair(make_record("dm", [30]), make_record("dm", [40]))
    assert (pair.points, pair.half_width, pair.p, pair.verdict) == (pytest.approx(10), None, None, "one network")


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_has_counts_points_verdict_costs_and_processors(make_record, fmt):
    first = make_record(
        "dm", [30, 34], costs={"distil": PhaseCost(1.5, 1.0, 0, 10), "evaluate": PhaseCost(2.0, 1, 0, 9)}
    )
    second = dataclasses.replace(make_record("dm", [33, 39]), provenance={"processors": ["AVX2", "AVX512"]})
    comparison = compare([first, make_record("random", [1, 2])], [second])
    text = render(comparison, ("a", "b"), fmt)
    assert text.endswith("\n")
    if fmt in ("csv", "json"):
        (row,) = json.loads(text)["cells"] if fmt == "json" else csv.DictReader(io.StringIO(text))
        assert (float(row["correct_1"]), float(row["correct_2"]), float(row["tested"])) == (64, 72, 200)
        assert float(row["points"]) == pytest.approx(4.0)
        assert (float(row["seconds_1"]), row["processors_2"], row["verdict"]) == (3.5, "AVX2, then AVX512", "within")
    else:
        for part in ("64 of 200", "72 of 200", "within", "3.5", "AVX2, then AVX512", "only in the first folder"):
            assert part in text
