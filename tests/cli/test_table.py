"""``python -m bench table``: what it prints, writes and checks, its exit codes, and how fast it answers."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gc
import subprocess
import sys

import pytest

from bench.api import Evaluation
from bench.cli import table
from bench.core.errors import BenchError
from bench.results.cells import Cell
from bench.results.records import Record, RecordStore, SetReport, StoredTensor
from bench.tables.bytes_svg import picture
from bench.tables.formats import FORMATS, render
from bench.tables.layouts import BY, LAYOUTS
from bench.tables.leaderboard import leaderboards
from bench.tables.published import COLUMNS, read


def record(method, correct, ipc=1):
    cell = Cell(
        method, 1, {}, "shapes-mixed", "f" * 64, {"frames": 8}, "quick", "convnet3d-small", "quick/1", ipc,
        "n8-r8-k1-nearest", 0,
    )  # fmt: skip
    confusion = ((correct, 50 - correct), (50 - correct, correct))
    return Record(cell, "ok", evaluations=(Evaluation(0, confusion, None, 1.0, True, 0.1, 10),))


RECORDS = [record("dm", 30), record("random", 25), record("dm", 40, ipc=5)]


@pytest.fixture
def out(tmp_path):
    for entry in RECORDS:
        RecordStore(tmp_path).write(entry)
    return tmp_path


def call(*arguments):
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    return table.run(parser.parse_args(list(map(str, arguments))))


@pytest.mark.parametrize("fmt", [*FORMATS, "markdown"])
def test_it_prints_all_leaderboards(out, capsys, fmt):
    assert call("--out", out, "--format", fmt) == 0
    printed = capsys.readouterr()
    assert printed.out == render(RECORDS, fmt, folder=out)
    assert printed.out.count("quick/1") >= 2
    assert printed.err == ""
    assert not (out / "tables").exists()


def test_markdown_names_the_command_that_writes_it(out, capsys, monkeypatch, tmp_path):
    (spaced := tmp_path / "my results").symlink_to(out)
    call("--out", spaced, "--format", "md")
    assert f"\nMade from the records by `python -m bench table --write --out '{spaced}'`.\n" in capsys.readouterr().out
    (tmp_path / "results").symlink_to(out)
    monkeypatch.chdir(tmp_path)
    call("--format", "md")
    assert "\nMade from the records by `python -m bench table --write`.\n" in capsys.readouterr().out
    call("--write")
    assert call("--check", "--out", out) == 0  # the same folder by another name


def test_help_says_what_each_layout_shows(bench_main):
    told = " ".join(bench_main("table", "--help").out.split())
    for name, layout in LAYOUTS.items():
        assert f"{name}: {layout.help}" in told


def test_records_with_numbers_that_are_refused_today_stay_in_the_tables(out, capsys):
    old = dataclasses.replace(
        RECORDS[0], cell=dataclasses.replace(RECORDS[0].cell, config={"lr": -1.0, "steps": 0}, seed=1)
    )
    RecordStore(out).write(old)
    assert call("--out", out) == 0
    assert "lr=-1" in capsys.readouterr().out


def test_it_writes_what_a_reader_and_a_program_need(out, capsys):
    assert call("--out", out, "--write") == 0
    folder = out / "tables"
    assert sorted(path.name for path in folder.iterdir()) == ["bytes.md", "leaderboard.csv", "leaderboard.md"]
    assert (folder / "leaderboard.md").read_text(encoding="utf-8") == render(RECORDS, "markdown", folder=out)
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["ipc"], line["method"], line["accuracy"]) for line in lines] == [
        ("1", "dm", "0.6"), ("1", "random", "0.5"), ("5", "dm", "0.8"), ("5", "random", ""),
    ]  # fmt: skip
    printed = capsys.readouterr()
    assert printed.out == render(RECORDS)
    assert printed.err.count("wrote ") == 3


def test_the_picture_is_printed_written_and_checked_once_there_are_bytes(out, capsys):
    with pytest.raises(BenchError, match="--format svg: only --by bytes has a picture"):
        call("--out", out, "--format", "svg")
    report = SetReport("dense", 2, 4096, 4096, {"pixels": StoredTensor((1024,), "float32", 4096)}, None)
    stored = dataclasses.replace(RECORDS[0], set=report)
    RecordStore(out).write(stored)
    expected = picture(leaderboards([stored, *RECORDS[1:]]))
    assert call("--out", out, "--format", "svg", "--by", "bytes") == 0
    assert capsys.readouterr().out == expected
    call("--out", out, "--write")
    path = out / "tables" / "bytes.svg"
    assert path.read_bytes().decode() == expected
    assert call("--out", out, "--check") == 0
    path.write_text(expected.replace("4,096 bytes", "1 byte"), encoding="utf-8")
    capsys.readouterr()
    assert call("--out", out, "--check") == 1
    assert "bytes.svg does not match the records" in capsys.readouterr().out


def test_probes_are_written_and_checked_once_there_are_any(out, capsys):
    call("--out", out, "--write")
    evaluation = dataclasses.replace(RECORDS[0].evaluations[0], probes={"frozen": 20}, frozen_trained=30)
    records = [dataclasses.replace(RECORDS[0], evaluations=(evaluation,)), *RECORDS[1:]]
    RecordStore(out).write(records[0])
    path = out / "tables" / "probes.md"
    capsys.readouterr()
    assert call("--out", out, "--check") == 1
    assert f"{path} is missing" in capsys.readouterr().out
    assert call("--out", out, "--write") == 0
    assert path.read_text(encoding="utf-8") == render(records, "md", "probes", folder=out)
    assert "20.0 (-40.0)" in path.read_text(encoding="utf-8")
    assert call("--out", out, "--check") == 0


def test_check_accepts_what_write_wrote(out, capsys):
    call("--out", out, "--write")
    capsys.readouterr()
    assert call("--out", out, "--check") == 0
    assert capsys.readouterr().out == "the tables match the records\n"


def test_check_shows_what_changed(out, capsys):
    call("--out", out, "--write")
    path = out / "tables" / "leaderboard.md"
    path.write_text(path.read_text(encoding="utf-8").replace("60.0", "99.9"), encoding="utf-8")
    capsys.readouterr()
    assert call("--out", out, "--check") == 1
    printed = capsys.readouterr().out
    assert "leaderboard.md does not match the records" in printed
    assert "leaderboard.csv" not in printed
    removed, added = (next(line for line in printed.splitlines() if line.startswith(sign)) for sign in "-+")
    assert "99.9" in removed
    assert "60.0" in added
    assert "1 lines of the file are gone, 1 are new" in printed
    assert "99.9" in path.read_text(encoding="utf-8")


def test_the_search_for_cycles_is_on_again_afterwards(out, tmp_path):
    call("--out", out)
    assert gc.isenabled()
    with pytest.raises(BenchError):
        call("--out", tmp_path / "nowhere")
    assert gc.isenabled()


def test_check_notices_a_new_record(out, capsys):
    call("--out", out, "--write")
    RecordStore(out).write(record("mtt", 45))
    capsys.readouterr()
    assert call("--out", out, "--check") == 1
    assert capsys.readouterr().out.count("does not match the records") == 3


def test_check_without_tables_says_how_to_write_them(out, capsys):
    assert call("--out", out, "--check") == 1
    printed = capsys.readouterr().out
    assert printed.count(f"write it with `python -m bench table --out {out} --write`") == 3
    assert not (out / "tables").exists()


@pytest.mark.parametrize("by", BY)
def test_it_lays_the_rows_out_as_asked(out, capsys, by):
    assert call("--out", out, "--by", by, "--columns", "ddranking", "--interval", "bootstrap") == 0
    assert capsys.readouterr().out == render(RECORDS, by=by, extra=["ddranking"], intervals="bootstrap")


def test_an_unknown_layout_is_bad_input(out, capsys):
    for option, value in (("--by", "size"), ("--format", "pdf"), ("--columns", "all"), ("--interval", "exact")):
        with pytest.raises(SystemExit) as ended:
            call("--out", out, option, value)
        assert ended.value.code == 2
        assert f"invalid choice: '{value}'" in capsys.readouterr().err


def test_published_figures_beside_the_records_are_shown_written_and_checked(out, capsys):
    entry = record("dm", 30)
    entry = dataclasses.replace(entry, cell=dataclasses.replace(entry.cell, dataset="miniucf", network="convnet3d"))
    RecordStore(out).write(entry)
    path = out / "published.csv"
    path.write_text(",".join(COLUMNS) + "\nP,MiniUCF,4662/1861,1,DM,ConvNet3D,top1,55,,,first-hand,S\n")
    assert call("--out", out, "--write") == 0
    printed = capsys.readouterr().out
    assert printed == render([*RECORDS, entry], published=read(path))
    assert "P: S" in printed
    assert call("--out", out, "--check") == 0
    path.write_text(path.read_text().replace("55", "50"))
    assert call("--out", out, "--check") == 1


def test_a_published_file_that_is_not_valid_is_bad_input(out):
    (out / "published.csv").write_text("a,b\n")
    with pytest.raises(BenchError, match=r"published\.csv: its first line is 'a,b'"):
        call("--out", out)


def test_unreadable_records_are_named_and_left_out(out, capsys):
    (out / "cells" / "broken.json").write_text("{", encoding="utf-8")
    assert call("--out", out) == 0
    printed = capsys.readouterr()
    assert printed.out == render(RECORDS)
    assert printed.err.startswith("warning: record left out: broken.json: not a record")
    assert printed.err.count("\n") == 1


def test_no_records_is_a_sentence_that_says_what_to_run(tmp_path):
    with pytest.raises(BenchError, match=r"no records in .*cells; run `python -m bench run --out .*` first"):
        call("--out", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_only_unreadable_records_are_no_records(tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(BenchError, match="no readable records"):
        call("--out", tmp_path)
    assert "broken.json" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_bad_input(out):
    (out / "tables").write_text("in the way")
    with pytest.raises(BenchError, match="cannot write"):
        call("--out", out, "--write")


def test_write_and_check_exclude_each_other(out, capsys):
    with pytest.raises(SystemExit) as ended:
        call("--out", out, "--write", "--check")
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_tables_need_neither_torch_nor_scipy(out):
    program = f"""
import sys
from bench.core import lazy
lazy.defer("torch")
from bench.cli import table
from bench.running.display import live
import argparse
parser = argparse.ArgumentParser()
table.add_arguments(parser)
assert table.run(parser.parse_args(["--out", {str(out)!r}, "--write"])) == 0
heavy = [name for name in ("torch", "scipy", "numpy", "rich", "av", "pandas") if lazy.is_loaded(name)]
print("heavy:", *heavy, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "heavy:"
    assert done.stdout == render(RECORDS)
