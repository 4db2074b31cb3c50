"""Leaderboards as text: the numbers as people read them, and names from outside that must not break the table."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest
from scipy import stats

from bench.store.records import PhaseCost
from bench.tables.bootstrap import bootstrap_interval
from bench.tables.formats import FORMATS, render
from bench.tables.layouts import BY
from bench.tables.published import COLUMNS, parse
from bench.tables.text_table import html_text, latex_text, markdown_text, printable

HOSTILE = "evil|name\x1b[31m\nsecond `line` <b> [x](y) _a_"


@pytest.fixture
def records(make_record):
    """Three seeds of dm and random, the full data, and a method that declined."""
    dm = [[30, 34], [40, 42], [20, 22]]
    random = [[25, 28], [36, 40], [17, 20]]
    upstream = PhaseCost(80.0, 1.0, 0, 10, shared=True)
    costs = {"upstream": upstream, "distil": PhaseCost(12.4, 1.0, 3 * 2**29, 2**30)}
    found = [make_record("dm", right, seed=seed, costs=costs, stored=5 * 2**18) for seed, right in enumerate(dm)]
    found += [make_record("random", right, seed=seed, stored=2**14 * 7) for seed, right in enumerate(random)]
    found += [make_record("full", [70, 80], unfit=[1], ipc=None, seed=None, stored=123 * 2**20)]
    return found + [make_record("mtt", status="skipped", reason="whole clips only", seed=seed) for seed in range(3)]


def cells(text, method):
    """The cells of a row of a terminal table, by its header."""
    lines = text.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("---"))
    header, rule = lines[place - 1], lines[place]
    spans = [match.span() for match in re.finditer("-+", rule)]
    line = next(line for line in lines[place + 1 :] if line.startswith(method))
    return {header[start:end].strip(): line[start:end].strip() for start, end in spans}


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


def test_csv_is_one_table_over_all_leaderboards(make_record):
    records = [make_record("dm", [30], ipc=ipc) for ipc in (1, 5)] + [make_record("full", [80], ipc=None, seed=None)]
    lines = list(csv.DictReader(io.StringIO(render(records, "csv"))))
    assert [(line["ipc"], line["method"]) for line in lines] == [("1", "full"), ("1", "dm"), ("5", "full"), ("5", "dm")]


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dm [lr=10]", "dm [lr=10]"),
        ("static_dynamic", "static_dynamic"),
        ("_x_", r"\_x\_"),
        ("[a](b)", r"[a]\(b)"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        (r"a\|b", r"a\\\|b"),
        ("*`~", r"\*\`\~"),
    ],
)
def test_markdown_shows_text_as_it_is(text, shown):
    assert markdown_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é ± ×", "é ± ×"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202egnp", r"\u202egnp"),
        ("\u2028", r"\u2028"),
        ("\U000e0001", r"\U000e0001"),
        ("\udc80", r"\udc80"),
    ],
)
def test_control_characters_are_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50 % of a_b & #1", r"50 \% of a\_b \& \#1"),
        (r"\input{x}$", r"\textbackslash{}input\{x\}\$"),
        ("[1] a--b ---", "{[}1] a-{}-b -{}-{}-"),
        ("1.5 ± 0.2 × 3 † ‡ 1–2", r"1.5 $\pm$ 0.2 $\times$ 3 $\dagger$ $\ddagger$ 1--2"),
        ("<~^|`>", r"$<$\textasciitilde{}\textasciicircum{}$|$\textasciigrave{}$>$"),
        ("\x1b", r"\textbackslash{}x1b"),
    ],
)
def test_latex_prints_text_as_it_is(text, shown):
    assert latex_text(text) == shown


def test_html_shows_text_as_it_is():
    assert html_text('<b a="x">&\'\n') == "&lt;b a=&quot;x&quot;&gt;&amp;&#x27;\\x0a"


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_ends_in_a_line_break_also_without_records(records, fmt, by):
    assert render(records, fmt, by).endswith("\n")
    assert render([], fmt, by).endswith("\n")


def test_markdown_has_two_names(records):
    assert render(records, "markdown") == render(records, "md")
