"""Names and labels from outside are shown as text, in every format and on the terminal: nothing in them takes effect."""

from __future__ import annotations

import dataclasses
import html.parser
import re

import pytest

from bench.results.records import Record, RecordStore
from bench.running.display.live import PlainDisplay
from bench.running.display.progress import outcome
from bench.running.engines.events import CellLog
from bench.tables import formats
from tests.results.test_records import CELL, RECORD

HOSTILE = "x\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.a</script><script>alert(1)</script>|`a`![i](javascript:b)\\input{/etc/passwd}$^_&%#~"

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile():
    """Records whose every name is hostile; one failed for a hostile reason."""
    made = []
    for number, method in enumerate((f"a{HOSTILE}", f"b{HOSTILE}", "full")):
        cell = dataclasses.replace(CELL, method=method, dataset=f"folder:{HOSTILE}", network=HOSTILE, seed=number)
        made.append(dataclasses.replace(RECORD, cell=cell, data={**RECORD.data, "notes": [HOSTILE]}))
    made.append(Record(dataclasses.replace(made[0].cell, seed=9), "failed", HOSTILE))
    return made


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") or "javascript" in (value or "") for name, value in attrs)


@pytest.mark.parametrize("fmt", ["terminal", "md", "latex", "html"])
@pytest.mark.parametrize("by", ["ipc", "bytes", "setting", "probes"])
def test_tables_hold_no_control_characters_and_no_markup_from_outside(hostile, fmt, by):
    text = formats.render(hostile, fmt, by)
    assert "owned" in text  # the name is shown
    assert CONTROL.findall(text) == []
    if fmt == "html":
        parser = _Tags()
        parser.feed(text)
        assert parser.tags.isdisjoint({"script", "img", "a", "iframe", "style", "svg"})
    if fmt == "md":
        assert "<script" not in text
        assert re.search(r"(?<!\\)\]\(", text) is None
    if fmt == "latex":
        assert r"\input" not in text
        assert "textbackslash{}input" in text


def test_the_page_of_a_report_cannot_be_left(hostile):
    from bench.report.page import page

    text = page({"rows": [{"method": HOSTILE}]})
    assert len(re.findall("<script", text)) == len(re.findall("<script", page({"rows": []})))
    assert CONTROL.findall(text) == CONTROL.findall(page({"rows": []}))


def test_the_display_of_a_run_shows_escapes_and_line_breaks_written_out(capsys, hostile):
    import sys

    display = PlainDisplay(sys.stdout)
    display.start(1, 0, {})
    display.handle(CellLog(HOSTILE, HOSTILE))
    printed = capsys.readouterr().out
    assert CONTROL.findall(printed) == []
    assert len(printed.splitlines()) == 2
    assert r"\x1b[2J" in printed
    assert CONTROL.findall(outcome(hostile[-1])) == []


def test_errors_and_warnings_show_them_written_out(bench_main, tmp_path, tiny_plugin):
    name = "\x1b[31mred\nline\u202e"
    for arguments in (
        ["run", "--plugin", tiny_plugin, "--methods", name],
        ["run", "--datasets", name],
        ["run", "--datasets", f"folder:{name}"],
        ["run", "--set", name],
        ["table", "--out", name],
        ["show", name],
        ["evaluate", name],
        ["run", "--plugin", name],
        ["data", "check", f"folder:{name}"],
    ):
        told = bench_main(*arguments)
        assert told.code == 2, arguments
        assert CONTROL.findall(told.out + told.err) == [], arguments
        assert len(told.err.splitlines()) == 1, told.err


def test_warnings_of_records_show_names_written_out(bench_main, tmp_path, hostile):
    store = RecordStore(tmp_path)
    for record in hostile:
        store.write(record)
    (store.folder / "a\x1b[2Jb.json").write_text("{")
    told = bench_main("table", "--out", tmp_path)
    assert told.code == 0
    assert CONTROL.findall(told.out + told.err) == []
    assert r"a\x1b[2Jb.json" in told.err


def test_class_names_and_files_of_a_folder_are_shown_written_out(bench_main, tmp_path):
    folder = tmp_path / "clips"
    for name in ("a\x1b[2J", "b\u202e"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            (folder / name / f"v\x1b]0;x\x07{number}.mp4").write_bytes(b"no video")
    told = bench_main("data", "check", f"folder:{folder}")
    assert told.code == 1
    assert r"a\x1b[2J" in told.out
    assert CONTROL.findall(told.out + told.err) == []
