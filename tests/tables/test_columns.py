"""One object is a column everywhere: in every format that people read, in CSV and JSON, and on the report's page."""

from __future__ import annotations

import csv
import inspect
import io
import json
import re

import pytest

from bench.core.frame_order import PROBES
from bench.report.content import content
from bench.tables import columns, leaderboard, probes, remarks
from bench.tables.columns import COLUMNS, ORDER, Column, Line, columns_of, values_of
from bench.tables.formats import render
from bench.tables.leaderboard import leaderboards
from tests.tables.conftest import cells

WRONG = Column(
    "wrong",
    "wrong answers",
    lambda line: "" if line.row.figures is None else f"{100 - 100 * line.row.figures.accuracy.mean:.0f} of 100",
    {"wrong": lambda line: None if line.row.figures is None else 1 - line.row.figures.accuracy.mean},
    legend="Wrong answers: what is not right.",
)


@pytest.fixture
def with_a_column_more(monkeypatch, make_record):
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, WRONG))
    return [make_record("dm", [30, 34]), make_record("random", [25, 25]), make_record("mtt", status="failed")]


def test_one_object_is_a_column_of_the_terminal(with_a_column_more):
    text = render(with_a_column_more)
    assert cells(text, "dm")["wrong answers"] == "68 of 100"
    assert cells(text, "mtt")["wrong answers"] == ""
    assert text.endswith(" Wrong answers: what is not right.\n")


@pytest.mark.parametrize(
    ("fmt", "header", "cell"),
    [
        ("md", "wrong answers |", "68 of 100 |"),
        ("latex", "& wrong answers", "& 68 of 100"),
        ("html", "<th>wrong answers</th>", "<td>68 of 100</td>"),
    ],
)
def test_one_object_is_a_column_of_what_people_read(with_a_column_more, fmt, header, cell):
    text = render(with_a_column_more, fmt)
    assert header in text
    assert cell in text
    assert "Wrong answers: what is not right." in text


def test_one_object_is_a_column_of_csv_and_json(with_a_column_more):
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(render(with_a_column_more, "csv")))}
    assert (float(lines["dm"]["wrong"]), lines["mtt"]["wrong"]) == (pytest.approx(0.68), "")
    rows = {row["method"]: row for row in json.loads(render(with_a_column_more, "json"))["rows"]}
    assert (rows["dm"]["wrong"], rows["mtt"]["wrong"]) == (pytest.approx(0.68), None)


def test_one_object_is_a_column_of_the_page(with_a_column_more):
    made = content(with_a_column_more)
    place = [column["key"] for column in made["columns"]].index("wrong")
    assert made["columns"][place]["header"] == "wrong answers"
    shown = {row["method"]: row["shown"][place] for row in made["rows"]}
    assert shown == {"dm": ("68 of 100", 0), "random": ("75 of 100", 1), "mtt": ("", None)}  # text and place
    assert "Wrong answers: what is not right." in made["legend"]


def test_a_column_that_nobody_fills_is_not_shown_nor_explained(monkeypatch, make_record):
    empty = Column("empty", "never", values={"never": lambda line: None}, legend="Never: nothing.", optional=True)
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, empty))
    for fmt in ("terminal", "md", "latex", "html", "csv", "json"):
        assert "never" not in render([make_record("dm", [30])], fmt).lower()


def test_keys_and_names_are_unique_and_every_order_is_of_columns():
    keys = [column.key for column in COLUMNS]
    names = [name for column in COLUMNS for name in column.values]
    assert len(keys) == len(set(keys))
    assert len(names) == len(set(names))
    assert {key for order in ORDER.values() for key in order} <= set(keys)


@pytest.mark.parametrize("view", ["leaderboard", "probes", "page", "page probes"])
def test_everything_that_people_see_has_a_header_and_stands_in_its_order(view):
    shown = columns_of(view)
    assert [column.key for column in shown if column.key in ORDER[view]] == list(ORDER[view])
    assert all(column.header for column in shown)


def test_columns_on_demand_are_in_a_leaderboard_only_then():
    asked = {column.key for column in columns_of("leaderboard")} - {c.key for c in columns_of("leaderboard", ())}
    assert asked == {"hlr", "ior", "lrs", "objective"}


def test_every_footnote_belongs_to_a_column():
    """A note whose column nobody knows would never be shown."""
    sources = "".join(map(inspect.getsource, (remarks, leaderboard, probes)))
    noted = re.findall(r'(?:Note|_of_interval)\(\s*"(\w+)"', sources)
    assert len(noted) > 10
    assert set(noted) <= {column.key for column in columns_of("leaderboard")}


def test_programs_read_no_figures_of_a_row_that_has_none(make_record):
    (board,) = leaderboards([make_record("dm", status="failed")])
    values = values_of(Line(board, board.rows[0]))
    facts = {"leaderboard", "dataset", "fingerprint", "profile", "network", "geometry", "protocol", "judged_on", "ipc", "setting",
             "setting_label", "method", "label", "config", "version", "source", "reference", "status", "baseline", "notes",
             "remarks"}  # fmt: skip
    assert {name for name, value in values.items() if value is not None} == facts
    assert set(PROBES) <= set(values)
