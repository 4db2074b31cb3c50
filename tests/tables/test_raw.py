"""What programs read: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from scipy import stats

from bench.tables.formats import render
from bench.tables.published import COLUMNS, parse
from tests.tables.conftest import cells


def test_csv_holds_the_raw_numbers(records):
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(render(records, "csv")))}
    dm = lines["dm"]
    assert float(dm["accuracy"]) == pytest.approx(0.94 / 3)
    assert float(dm["accuracy"]) - float(dm["accuracy_low"]) == pytest.approx(0.233829, abs=1e-5)
    assert float(dm["gain"]) == pytest.approx((0.055 + 0.03 + 0.025) / 3)
    assert (dm["accuracy_covers"], dm["seeds"], dm["networks"]) == ("both", "3", "2")
    assert (dm["storage_bytes_min"], dm["storage_bytes_max"], dm["storage_bytes_fp32_min"]) == (
        "1310720",
        "1310720",
        "5242880",
    )
    assert (dm["upstream_seconds"], dm["upstream_shared"], dm["peak_device_bytes"]) == ("80.0", "True", str(3 * 2**29))
    assert (dm["ipc"], dm["setting"], dm["setting_label"]) == ("1", "n8-r8-k1-nearest", "dense")
    assert json.loads(dm["config"]) == {"lr": 1.0, "steps": 300}
    assert (lines["mtt"]["status"], lines["mtt"]["accuracy"]) == ("skipped", "")
    assert lines["mtt"]["notes"] == "seeds 0, 1, 2 skipped: whole clips only"
    assert (lines["full"]["reference"], lines["full"]["unfit"]) == ("True", "1")


def test_csv_has_ranks_relative_scores_and_published_figures(make_record):
    cell = {"dataset": "miniucf", "network": "convnet3d"}
    records = [make_record("dm", [30 + seed, 31, 32], seed=seed, **cell) for seed in range(3)]
    records += [make_record("random", [10 + seed, 11, 12], seed=seed, **cell) for seed in range(3)]
    records += [make_record("full", [60, 61, 62], ipc=None, seed=None, **cell)]
    published = parse(",".join(COLUMNS) + "\nP,MiniUCF,4662/1861,1,DM,ConvNet3D,top1,25,,,secondary,S\n", "p")
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(render(records, "csv", published=published)))}
    dm = lines["dm"]
    assert (dm["rank"], dm["tied_with_best"], lines["random"]["rank"], lines["full"]["rank"]) == ("1", "True", "2", "")
    assert float(dm["hlr"]) == pytest.approx(0.61 - 2.82 / 9)
    assert float(dm["ior"]) == pytest.approx(0.2)
    assert (dm["reported"], dm["reported_by"], dm["reported_confidence"]) == ("0.25", "P", "secondary")
    assert float(dm["deviation"]) == pytest.approx(2.82 / 9 - 0.25)
    assert lines["random"]["reported"] == ""
    shown = cells(render(records, published=published), "dm")
    assert (shown["reported %"], shown["deviation"]) == ("25.0 ‡ [1]", "+6.3")


def test_json_holds_the_rows_of_the_csv_and_the_tests_behind_the_ranks(records):
    found = json.loads(render(records, "json"))
    lines = list(csv.DictReader(io.StringIO(render(records, "csv"))))
    assert [row["label"] for row in found["rows"]] == [line["label"] for line in lines]
    assert [list(row) for row in found["rows"]] == [list(line) for line in lines]
    dm = next(row for row in found["rows"] if row["method"] == "dm")
    assert dm["accuracy"] == pytest.approx(0.94 / 3)
    assert dm["config"] == {"lr": 1.0, "steps": 300}
    (test,) = found["tests"]
    assert (test["first"], test["second"], test["difference"]) == ("dm", "random", pytest.approx(0.11 / 3))
    by_seed, by_network = [0.055, 0.03, 0.025], [0.04, 0.1 / 3]
    alone = max(stats.ttest_1samp(sample, 0).pvalue for sample in (by_seed, by_network))
    error = math.hypot(stats.sem(by_seed), stats.sem(by_network))
    dof = stats.ttest_ind(by_seed, by_network, equal_var=False).df
    welch = 2 * stats.t.sf(0.11 / 3 / error, dof)
    assert test["p"] == test["p_holm"] == pytest.approx(max(welch, alone))
    assert found["mean_ranks"] == []


def test_json_holds_the_mean_ranks_over_datasets(make_record):
    records = [make_record(m, [right] * 2, dataset=d) for d in "ab" for m, right in (("x", 3), ("y", 2), ("z", 1))]
    (ranks,) = json.loads(render(records, "json"))["mean_ranks"]
    assert (ranks["datasets"], ranks["mean_ranks"]) == (["a", "b"], {"x": 1, "y": 2, "z": 3})
    assert "\nmean ranks over 2 datasets · IPC 1 · dense · quick" in render(records)


def test_csv_is_one_table_over_all_leaderboards(make_record):
    records = [make_record("dm", [30], ipc=ipc) for ipc in (1, 5)] + [make_record("full", [80], ipc=None, seed=None)]
    lines = list(csv.DictReader(io.StringIO(render(records, "csv"))))
    assert [(line["ipc"], line["method"]) for line in lines] == [("1", "full"), ("1", "dm"), ("5", "full"), ("5", "dm")]
