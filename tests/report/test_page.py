"""The report is one file: nothing in it can leave its place, and what stands in it is given to it."""

from __future__ import annotations

import json
import re
from importlib import resources

from bench.report.content import content
from bench.report.page import embedded, page
from bench.tables.columns import COLUMNS
from tests.tables.conftest import record


def test_headers_and_legends_are_given_to_the_page_not_written_in_it():
    script = resources.files("bench.report").joinpath("report.js").read_text(encoding="utf-8")
    template = resources.files("bench.report").joinpath("template.html").read_text(encoding="utf-8")
    columns = content([record("dm", [70])])["columns"]
    headers = {column["header"] for column in columns if column["header"] != column["key"]}  # else it may be the key
    assert len(headers) > 15
    assert {header for header in headers if f'"{header}"' in script} == {"accuracy %", "MiB"}  # an axis and a unit
    assert [column.legend for column in COLUMNS if column.legend and column.legend in script + template] == []


NASTY = ["</script>", "<!--<script>", "&lt;", "\u2028\u2029", '"\\', "/*SCRIPT*/", "name\udc80"]


def test_embedded_data_stay_inside_their_element_and_come_back_unchanged():
    text = embedded(NASTY)
    assert json.loads(text) == NASTY
    assert text.isascii()
    assert not re.search("[<>&]", text)


def test_the_page_is_one_file_with_each_part_once_and_no_address():
    made = content([record(name, [70]) for name in ("</script>", "/*DATA*/")])
    text = page(made)
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert json.loads(found[1]) == json.loads(json.dumps(made))
    # The one address is the name of SVG's elements, which nothing is fetched from.
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"@import|<link[^>]+href=\"(?!data:)|\bfetch\(|XMLHttpRequest|innerHTML|insertAdjacent|eval\(", text
    )
