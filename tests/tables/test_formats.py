"""Leaderboards as text: the numbers as people read them, and names from outside that must not break the table."""

from __future__ import annotations

import csv
import io
import re

import pytest

from bench.results.records import PhaseCost
from bench.tables.bootstrap import bootstrap_interval
from bench.tables.formats import FORMATS, render
from bench.tables.layouts import BY
from tests.tables.conftest import cells

HOSTILE = "evil|name\x1b[31m\nsecond `line` <b> [x](y) _a_"


def test_a_row_reads_as_expected(records):
    assert cells(render(records), "dm") == {
        "method": "dm",
        "accuracy %": "31.3 ± 23.4 †",
        "rank": "1",
        "n × m": "3 × 2",
        "% of full": "41.8",
        "gain over random": "+3.7 ± 3.6",
        "MiB": "1.25",
        "MiB float32": "5.00",
        "distil s": "12",
        "upstream s": "80 [2]",
        "peak memory": "1.5 GiB GPU",
        "unfit": "",
    }


def test_the_reference_row_and_its_footnotes(records):
    text = render(records)
    row = cells(text, "full")
    assert row["accuracy %"] == "75.0 ± 63.5"
    assert row["MiB"] == "123.0"
    assert row["unfit"] == "1 of 2 [1]"
    assert "\n[1] networks that did not fit the set" in text
    assert "\n[2] made once and used by several cells" in text


def test_small_sets_keep_three_digits(records):
    assert cells(render(records), "random")["MiB"] == "0.109"


def test_a_hole_shows_its_status_and_reason(records):
    text = render(records)
    row = cells(text, "mtt")
    number = re.fullmatch(r"skipped \[(\d+)\]", row["accuracy %"])[1]
    assert f"[{number}] seeds 0, 1, 2 skipped: whole clips only\n" in text
    assert {row[header] for header in row if header not in ("method", "accuracy %")} == {""}


def test_footnotes_are_numbered_in_order_and_every_mark_has_one(records):
    text = render(records)
    noted = [int(number) for number in re.findall(r"^\[(\d+)\] ", text, re.MULTILINE)]
    marked = {int(number) for marks in re.findall(r" \[([\d,]+)\]", text) for number in marks.split(",")}
    assert noted == list(range(1, len(noted) + 1))
    assert set(noted) == marked


def test_what_tuning_took_stands_beside_what_upstream_took(make_record):
    phases = ("distil", "upstream", "tune")
    costs = {phase: PhaseCost(20.0 + place, 1.0, 0, 0) for place, phase in enumerate(phases)}
    records = [make_record("dm", [30, 40], costs=costs), make_record("random", [30, 40])]
    shown = cells(render(records), "dm")
    assert [(name, shown[name]) for name in list(shown)[-3:]] == [
        ("distil s", "20"), ("upstream s", "21"), ("tune s", "22"),
    ]  # fmt: skip
    assert cells(render(records), "random")["tune s"] == ""
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(render(records, "csv")))}
    assert (lines["dm"]["tune_seconds"], lines["dm"]["tune_shared"]) == ("22.0", "False")


def test_columns_that_are_empty_in_every_row_are_left_out(make_record):
    header = cells(render([make_record("dm", [30, 30])]), "dm")
    assert list(header) == ["method", "accuracy %", "n × m", "MiB", "MiB float32"]
    assert "top-5 %" in cells(render([make_record("dm", [30, 30], top5=[50, 60])]), "dm")


def test_a_range_of_bytes_is_shown(make_record):
    records = [make_record("dm", [30], seed=seed, stored=stored * 2**20) for seed, stored in enumerate([12, 15])]
    assert cells(render(records), "dm")["MiB"] == "12.0–15.0"


def test_a_loss_is_negative_and_what_rounds_to_nothing_has_no_minus(make_record):
    shown = {"worse": 2000, "same": 2499, "random": 2500}
    text = render([make_record(method, [right], counts=(5000, 5000)) for method, right in shown.items()])
    assert cells(text, "worse")["gain over random"].startswith("-5.0")
    assert cells(text, "same")["gain over random"].startswith("+0.0")


def test_a_row_with_a_missing_training_has_an_empty_cell_that_says_so(make_record):
    text = render([make_record("dm", [30, 40], seed=0), make_record("dm", [30], seed=1), make_record("mtt", [20, 20])])
    row = cells(text, "dm")
    assert (row["accuracy %"], row["n × m"], row["MiB"]) == ("[1]", "3 of 4", "1.00")
    assert "\n[1] no mean over a part of the trainings; missing: seed 1 without network 1\n" in text
    assert cells(text, "mtt")["accuracy %"] == "[2]"
    assert "\n[2] no mean over a part of the trainings; missing: seed 1 no record\n" in text


def test_markdown_is_a_pipe_table_in_a_section(records):
    text = render(records, "md")
    assert "\n## shapes-mixed · IPC 1 · dense · quick · quick/1 · convnet3d-small\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1
    assert [line.split("|")[1].strip() for line in table[2:]] == ["full", "dm", "random", "mtt"]
    assert "\n- [1] networks that did not fit the set" in text


def test_relative_scores_are_shown_when_asked_for(make_record):
    records = [make_record("dm", [30]), make_record("random", [20]), make_record("full", [60], ipc=None, seed=None)]
    assert "HLR" not in render(records)
    shown = cells(render(records, extra=["ddranking"]), "dm")
    assert (shown["HLR"], shown["IOR"], shown["LRS"]) == ("0.300", "+0.100", "0.228")


def test_the_legend_speaks_of_what_is_shown(make_record):
    plain = render([make_record("dm", [30, 31])])
    assert "Rank:" not in plain
    assert "Gain:" not in plain
    ranked = render([make_record(m, [30, 31], seed=seed) for m in ("dm", "random") for seed in range(3)])
    assert "Rank:" in ranked
    assert "Gain:" in ranked


def test_the_bootstrap_is_named_where_it_is_used(records):
    text = render(records, intervals="bootstrap")
    assert "hierarchical bootstrap" in text
    found = bootstrap_interval([[0.30, 0.34], [0.40, 0.42], [0.20, 0.22]])
    assert cells(text, "dm")["accuracy %"] == f"31.3 ± {100 * found.half_width:.1f} †"


def test_by_bytes_and_by_setting_show_the_same_figures(records):
    accuracy = cells(render(records), "dm")["accuracy %"].removesuffix(" †")
    assert cells(render(records, by="bytes"), "dm")["accuracy %"] == accuracy
    assert cells(render(records, by="setting"), "dense")["dm"] == f"{accuracy} / 1.25"
    by_bytes = list(csv.DictReader(io.StringIO(render(records, "csv", by="bytes"))))
    assert [line["method"] for line in by_bytes] == ["random", "dm", "full", "mtt"]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("fmt", ["terminal", "md", "latex", "html"])
def test_names_from_outside_do_not_break_the_table(make_record, fmt, by):
    record = make_record(HOSTILE, [30], dataset=f"folder:{HOSTILE}", data={"notes": [HOSTILE]})
    hole = make_record("mtt", status="failed", reason=HOSTILE, dataset=f"folder:{HOSTILE}")
    text = render([record, hole], fmt, by)
    plain = render(
        [make_record("dm", [30], data={"notes": ["note"]}), make_record("mtt", status="failed", reason="why")], fmt, by
    )
    assert "\x1b" not in text
    assert len(text.splitlines()) == len(plain.splitlines())
    if fmt == "html":
        assert re.findall("<[^>]*>", text) == re.findall("<[^>]*>", plain)
    if fmt == "latex":
        assert text.count("\\\\") == plain.count("\\\\")
        assert len(re.findall(r"(?<!\\)[{]", text)) == len(re.findall(r"(?<!\\)[}]", text))


def test_a_pipe_in_a_name_stays_in_its_markdown_cell(make_record):
    text = render([make_record("a|b", [30])], "md")
    header, _, row = (line for line in text.splitlines() if line.startswith("|"))
    unescaped = re.findall(r"(?<!\\)\|", row)
    assert len(unescaped) == header.count("|")
    assert row.startswith(r"| a\|b ")


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_ends_in_a_line_break_also_without_records(records, fmt, by):
    assert render(records, fmt, by).endswith("\n")
    assert render([], fmt, by).endswith("\n")


def test_markdown_has_two_names(records):
    assert render(records, "markdown") == render(records, "md")
