"""``python -m bench report``: what it writes, from what, and what it says."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from bench.results.records import RecordStore


def data_of(file):
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', file.read_text(encoding="utf-8"), re.DOTALL
    )
    return json.loads(found[1])


def clips_of(body):
    return {row["method"]: [clip["label"] for clip in row["clips"]] for row in body["rows"] if row["clips"]}


@pytest.fixture
def out(finished, tmp_path):
    """A copy of a finished run's results."""
    shutil.copytree(finished[0], tmp_path / "out")
    return tmp_path / "out"


def test_it_shows_stored_clips_beside_real_ones(bench_main, out, tiny_plugin):
    outcome = bench_main("report", "--out", out, "--plugin", tiny_plugin, "--clips", "2")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert re.search(r"report.html: 4 records; clips of 3 sets, real ones beside them, 0\.\d MiB", outcome.out)
    body = data_of(out / "report.html")
    assert clips_of(body) == {"random": [0, 1], "herding": [0, 1], "tiny-walk": [0, 1]}
    (group,) = body["groups"]
    assert group["classes"] == ["amber", "blue", "coral"]
    assert [clip["label"] for clip in group["real"]] == [0, 1]
    assert all(clip["image"].startswith("data:image/png;base64,") and clip["frames"] == 4 for clip in group["real"])
    accuracies = {row["method"]: row["accuracy"] for row in body["rows"]}
    for record in RecordStore(out).all():
        mean = sum(entry.accuracy() for entry in record.evaluations) / len(record.evaluations)
        assert accuracies[record.cell.method] == pytest.approx(mean)


def test_it_works_without_artefacts_and_without_the_cache(bench_main, out, tiny_plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "empty"))
    assert bench_main("report", "--out", out, "--plugin", tiny_plugin).code == 0
    assert data_of(out / "report.html")["groups"][0]["real"] == []
    shutil.rmtree(out / "artefacts")
    outcome = bench_main("report", "--out", out, "--to", tmp_path / "other.html")
    assert outcome.code == 0
    assert f"warning: 3 sets are not in {out / 'artefacts'}; their clips are not shown\n" in outcome.err
    body = data_of(tmp_path / "other.html")
    assert clips_of(body) == {}
    assert body["groups"][0]["classes"] == ["amber", "blue", "coral"]  # the records know them
    assert not (tmp_path / "empty").exists()


def test_a_damaged_set_or_record_is_named_and_the_rest_shown(bench_main, out, tiny_plugin):
    records = {record.cell.method: record for record in RecordStore(out).all()}
    (out / "artefacts" / records["random"].id / "memory.safetensors").write_bytes(b"x")
    (out / "cells" / f"{records['herding'].id}.json").write_text("{}")
    outcome = bench_main("report", "--out", out, "--plugin", tiny_plugin)
    assert outcome.code == 0
    assert "record left out" in outcome.err
    assert "memory.safetensors is missing or damaged" in outcome.err
    assert sorted(clips_of(data_of(out / "report.html"))) == ["tiny-walk"]


def test_the_same_records_give_the_same_file(bench_main, out, tiny_plugin):
    files = [out / "a.html", out / "b.html"]
    for file in files:
        bench_main("report", "--out", out, "--plugin", tiny_plugin, "--to", file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_nothing_to_report_is_one_sentence(bench_main, tmp_path):
    outcome = bench_main("report", "--out", tmp_path)
    assert outcome.code == 2
    assert "no records in" in outcome.err
    assert list(tmp_path.iterdir()) == []
    assert "--clips: -1" in bench_main("report", "--clips", "-1").err


def test_a_device_is_written_to_and_a_link_followed(bench_main, out, tmp_path):
    null, link, file = tmp_path / "null", tmp_path / "link", tmp_path / "page.html"
    null.symlink_to("/dev/null")
    outcome = bench_main("report", "--out", out, "--clips", "0", "--to", null)
    assert (outcome.code, outcome.out) == (0, "")
    assert re.fullmatch(r".*null: 4 records, .* MiB\n", outcome.err)
    assert null.is_symlink()
    assert null.is_char_device()
    file.write_text("old")
    link.symlink_to(file)
    assert bench_main("report", "--out", out, "--clips", "0", "--to", link).code == 0
    assert link.is_symlink()
    assert len(data_of(file)["rows"]) == 4
    refused = bench_main("report", "--out", out, "--clips", "0", "--to", tmp_path)
    assert (refused.code, refused.err) == (2, f"error: cannot write {tmp_path}: Is a directory\n")


def test_data_sets_that_there_are_not_are_refused_even_without_clips(bench_main, out):
    outcome = bench_main("report", "--out", out, "--clips", "0", "--datasets", "nope")
    assert outcome.code == 2
    assert outcome.err.startswith("error: unknown dataset 'nope' (valid: ")


def test_a_record_is_not_replaced_by_a_page(bench_main, out):
    before = {path: path.read_bytes() for path in (out / "cells").iterdir()}
    outcome = bench_main("report", "--out", out, "--to", next(iter(before)))
    assert (outcome.code, "this folder holds the records; choose another one" in outcome.err) == (2, True)
    assert {path: path.read_bytes() for path in (out / "cells").iterdir()} == before
