"""Whatever stands in a file or on the command line: a well-formed result or one sentence, never a traceback.

``BENCH_FUZZ`` multiplies the number of examples (1).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import bench
from bench.api import Geometry
from bench.core.errors import BenchError
from bench.core.text import printable
from bench.data import leaks
from bench.data.spec import parse_dataset
from bench.results import digests
from bench.results import test_clips as tested
from bench.results.cells import identity
from bench.results.claims import me
from bench.results.records import RecordStore, from_json
from bench.running.options.options import OPTIONS as RUN_OPTIONS
from bench.tables import formats
from bench.tables.layouts import BY
from bench.tables.published import read as read_published
from tests.results.test_records import RECORD

TIMES = int(os.environ.get("BENCH_FUZZ", "1"))
FUZZ = settings(
    deadline=None,
    max_examples=60 * TIMES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["", "n8-r8-k1-nearest", "\x1b[2J", "1e999", "quick/1", "../../x", "0" * 64]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """The paths of all values inside a JSON value."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from places(entry, (*path, key))


def changed(body, path, value, remove):
    """The JSON value with one place replaced, or taken away."""
    if not path:
        return value
    body = copy.deepcopy(body)
    at = body
    for key in path[:-1]:
        at = at[key]
    if remove:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


def changes(body):
    """One to three changes of a JSON value, as ``(path, value, remove)``."""
    one = st.tuples(st.sampled_from(list(places(body))), JSON, st.booleans())
    return st.lists(one, min_size=1, max_size=3)


def apply(body, edits):
    for path, value, remove in edits:
        if path in set(places(body)):
            body = changed(body, path, value, remove and bool(path))
    return body


BODY = json.loads(RECORD.to_json())


def signed(body):
    """The record's id and text with the right id and digest, so that more than these is put to the test."""
    body = {name: value for name, value in body.items() if name != digests.KEY} if isinstance(body, dict) else body
    try:
        body = {**body, "id": identity(body["cell"])}
        return body["id"], digests.signed(body)
    except (TypeError, KeyError, AttributeError, ValueError):
        return "0" * 64, json.dumps(body)


def test_what_is_signed_is_read():
    """Else every changed record would be refused for its digest alone."""
    assert signed(BODY)[1] == RECORD.to_json()


@FUZZ
@given(changes(BODY), st.sampled_from(formats.FORMATS), st.sampled_from(BY))
@example([(("cell", "geometry", "frames"), 0, False)], "terminal", "ipc")
@example([(("cell", "setting"), "\x1b", False)], "terminal", "setting")
@example([(("evaluations", 0, "confusion"), [], False)], "md", "ipc")
@example([(("data", "classes"), 0, False)], "csv", "bytes")
def test_a_changed_record_is_refused_or_in_the_tables(tmp_path, edits, fmt, by):
    _, text = signed(apply(BODY, edits))
    try:
        record = from_json(text)
    except ValueError:
        return
    assert from_json(record.to_json()).id == record.id
    assert formats.render([record, RECORD], fmt, by).endswith("\n")


GOOD = dataclasses.replace(RECORD, cell=dataclasses.replace(RECORD.cell, method="random"))
NO_JSON = ["NaN", "1e999", "Infinity", '"\\ud800"', "1" * 5000, "[" * 1200, '{"a": 1, "a": 2}', "\xff"]
"""What may stand in a file in the place of a number and is none, or not always."""


@settings(FUZZ, max_examples=10 * TIMES)
@given(
    st.lists(changes(BODY), min_size=1, max_size=3),
    st.sampled_from(NO_JSON),
    st.sampled_from(BY),
    st.sampled_from(formats.FORMATS),
)
def test_a_folder_with_any_records_is_read_by_every_command(tmp_path_factory, bench_main, edits, no_json, by, fmt):
    """Broken records are named in one sentence each, and the good one stays what it is."""
    out = tmp_path_factory.mktemp("any")
    store = RecordStore(out)
    texts = dict(signed(apply(BODY, each)) for each in edits)
    texts["f" * 64] = signed(BODY)[1].replace("1.5", no_json, 1)
    store.folder.mkdir()
    for cell_id, text in texts.items():
        store.path(cell_id).write_text(text, encoding="utf-8")
    store.write(GOOD)
    bad = {}
    readable = {record.id for record in store.all(lambda path, reason: bad.update({path.name: reason}))}
    assert GOOD.id in readable
    assert "f" * 64 not in readable
    assert all(reason and len(printable(reason)) < 1000 for reason in bad.values())
    merged = tmp_path_factory.mktemp("merged")
    for arguments, codes in (
        (["table", "--out", out, "--by", by, "--format", fmt], {0}),
        (["table", "--out", out, "--write"], {0}),
        (["report", "--out", out], {0}),
        (["status", "--out", out], {0}),
        (["forget", "--out", out], {0}),
        (["merge", out, "--out", merged], {1}),
        (["compare", out, merged], {0}),
    ):
        told = bench_main(*arguments)
        assert told.code in codes, told
        assert sum("left out" in line for line in told.err.splitlines()) == len(bad), told
    assert RecordStore(merged).read(GOOD.id) == GOOD


@FUZZ
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_file_in_the_place_of_a_record_is_left_out_and_then_set_aside(tmp_path, data):
    store = RecordStore(tmp_path)
    store.folder.mkdir(exist_ok=True)
    path = store.path("0" * 64)
    path.write_bytes(data)
    bad, lines = [], []
    assert list(store.all(lambda *found: bad.append(found))) == []
    assert len(bad) == 1
    store.repair(lines.append)
    assert len(lines) == 1
    assert not path.exists()


@FUZZ
@given(st.binary(max_size=80))
def test_any_list_of_test_clips_is_the_one_or_none(tmp_path, data):
    name = tested.keep(tmp_path, ["a", "b"])
    tested.path(tmp_path, name).write_bytes(data)
    assert tested.read(tmp_path, name) is None


@pytest.fixture(scope="module")
def stored(finished):
    """The folder of a stored set and its manifest."""
    out, _, outcome = finished
    assert outcome.code == 0
    record = next(record for record in RecordStore(out).all() if record.cell.method == "tiny-walk")
    folder = out / "artefacts" / record.id
    return folder, json.loads((folder / "manifest.json").read_text())


@settings(FUZZ, max_examples=17 * TIMES)
@given(st.data())
def test_a_changed_manifest_is_refused_or_shown(stored, tmp_path_factory, bench_main, tiny_plugin, data):
    folder, manifest = stored
    fresh = tmp_path_factory.mktemp("set")
    (fresh / "memory.safetensors").write_bytes((folder / "memory.safetensors").read_bytes())
    (fresh / "manifest.json").write_text(json.dumps(apply(manifest, data.draw(changes(manifest)))))
    for arguments in (
        ["show", fresh, "--to", fresh / "x.png"],
        ["export", fresh, "--to", fresh / "clips"],
        ["evaluate", fresh, "--datasets", "folder:/nowhere"],
    ):
        told = bench_main(*arguments, "--plugin", tiny_plugin)
        assert told.code in (0, 2), told
        assert (len(told.err.splitlines()) == 1) == (told.code == 2), told


CLAIM = {"owner": dataclasses.asdict(me()), "title": "cell", "since": 1.7e9, "beat": 3, "beat_time": 1.7e9, "phase": "distil",
         "step": 3, "total": 9, "phase_since": 1.7e9, "first_step": 1, "released": False}  # fmt: skip
GRID = {"driver": dataclasses.asdict(me()), "cells": [["a" * 64, "cell", 3.0], ["b" * 64, "another", 4.0]]}


@FUZZ
@given(changes(CLAIM), changes(GRID))
@example([(("since",), 1e300, False)], [])
@example([], [(("cells", 0, 2), float("nan"), False)])
@example([(("owner", "pid"), "1", False), (("phase",), 3, False)], [(("cells", 1, 0), 7, False)])
def test_a_folder_with_any_claim_and_grid_has_a_state(tmp_path, bench_main, claim, grid):
    for path, body, edits in (("claims/x/000001.json", CLAIM, claim), ("grids/x.json", GRID, grid)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(apply(body, edits)))
    told = bench_main("status", "--out", tmp_path)
    assert (told.code, told.err) == (0, ""), told
    assert " cells: 0 done, " in told.out


ROWS = st.lists(
    st.lists(st.text(max_size=6) | st.sampled_from(["a/1.mp4", "x", "train", "test", "0"]), max_size=6), max_size=5
)
CSV = ROWS.map(lambda rows: "\n".join(",".join(row) for row in rows))


@FUZZ
@given(
    CSV.map(str.encode) | st.binary(max_size=80), st.sampled_from([b"", b"file,label,split,group\n", b"file,label\n"])
)
def test_any_label_file_is_an_index_or_a_sentence(tmp_path, registries, data, header):
    folder = tmp_path / "clips"
    (folder / "a").mkdir(parents=True, exist_ok=True)
    (folder / "a" / "1.mp4").write_bytes(b"x")
    (folder / "labels.csv").write_bytes(header + data)
    try:
        index = parse_dataset(f"folder:{folder}", registries).index(Geometry(4, 1, 16, 16))
    except BenchError:
        return
    assert all(0 <= clip.label < len(index.classes) for clip in index.clips)


@FUZZ
@given(
    CSV.map(str.encode) | st.binary(max_size=80),
    st.sampled_from([b"", b"method,dataset,ipc,network,metric,mean,std,source,confidence,note\n"]),
)
def test_any_list_of_published_figures_or_leaks_is_read_or_a_sentence(tmp_path, data, header):
    path = tmp_path / "x.csv"
    path.write_bytes(header + data)
    for read in (read_published, leaks.read_csv):
        with contextlib.suppress(BenchError):
            read(path)


# ----------------------------------------------------------------------------------------------------------------------
# The command line

WORDS = st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
VALUES = WORDS | st.sampled_from(
    ["0", "-1", "1,1", "0-", "9" * 30, "nan", "inf", "all", "tiny", "tiny[", "tiny[train=x]", "folder:", "dense", "static",
     "n4-r4-k9-linear", "1MiB", "1e999MiB", "dm.lr=", "dm.lr=nan", ".=", "cuda:99", "results", "..", "float16", "\x1b[2J", "dask",
     "slurm", "never", "tcp://127.0.0.1:1", "tcp://:", "labels.csv", "h264", "9" * 5000, "a" * 300, "a/" * 3000, "a," * 20_000,
     "0-999999999999", "1e308", "1" * 400, "tiny[" * 2000, "tiny-walk.steps=" + "9" * 5000, "tiny-walk.steps=0", "/dev/null"]
)  # fmt: skip
OPTIONS = {
    "run": ["--methods", "--datasets", "--ipc", "--budget", "--storage", "--seeds", "--settings", "--profile", "--protocol",
            "--set", "--judge-on", "--tune", "--tune-budget", "--stand-in", "--device", "--jobs", "--limit-minutes", "--timeout",
            "--resolve", "--attempts", "--per-gpu", "--precision", "--nets", "--engine", "--scheduler", "--cluster", "--resume", "--root"],
    "list": ["methods", "datasets", "--verbose"],
    "table": ["--by", "--format", "--columns", "--interval", "--without-leaks"],
    "show": ["--most", "--to"],
    "evaluate": ["--datasets", "--protocol", "--network", "--device"],
    "data": ["check", "fetch", "--depth", "--leaks"],
    "report": ["--to"],
    "status": ["--out"],
    "merge": ["--out"],
    "export": ["--to", "--codec"],
    "forget": ["--methods", "--set", "--trials", "--plugin", "--out"],
    "new-method": ["--into", "--kind"],
}  # fmt: skip
ALONE = {"--trials", "--tune", "--stand-in", "--verbose", "--leaks", "methods", "datasets", "check", "fetch"}


@st.composite
def command_lines(draw):
    command = draw(st.sampled_from(sorted(OPTIONS)))
    line = [command]
    for option in draw(st.lists(st.sampled_from(OPTIONS[command]), max_size=3, unique=True)):
        line += [option] if option in ALONE else [option, draw(VALUES)]
    if draw(st.integers(0, 3)) == 0 or command in ("show", "evaluate", "merge", "export", "new-method"):
        line.append(draw(VALUES))
    return line


@settings(FUZZ, max_examples=100 * TIMES)
@given(command_lines())
@example(["run", "--methods", "tiny-noise", "--ipc", "9" * 30])
@example(["run", "--set", "tiny-walk.steps=" + "9" * 5000])
def test_any_command_line_ends_with_a_known_code(bench_main, tiny_plugin, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    if line[0] == "run":
        line = [*line, "--dry-run", "--plugin", tiny_plugin]
        line += [] if "--datasets" in line else ["--datasets", "tiny"]
    told = bench_main(*line)
    assert told.code in (0, 1, 2), told
    assert told.code == 0 or told.err


# ----------------------------------------------------------------------------------------------------------------------
# Python


def hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


LARGE = st.sampled_from(
    [10**5000, -(10**30), 10**9, 0, -1, 1e308, float("inf"), float("nan"), "9" * 5000, range(10**12)]
)
ANYTHING = LARGE | SCALARS | VALUES | st.binary(max_size=3) | st.builds(object)
ARGUMENTS = st.dictionaries(
    st.sampled_from([name for name in RUN_OPTIONS if name not in ("plugin", "dry_run", "out")]),
    ANYTHING | st.lists(ANYTHING, max_size=3) | st.dictionaries(ANYTHING.filter(hashable), ANYTHING, max_size=2),
    max_size=3,
)


@settings(FUZZ, max_examples=40 * TIMES, deadline=60_000)
@given(ARGUMENTS)
@example({"set": {"tiny-walk": {"steps": 10**5000}}, "methods": "tiny-walk"})
@example({"seeds": "0-9999", "ipc": "1-9999"})
@example({"ipc": 10**17})
def test_any_arguments_give_a_plan_or_a_sentence(tiny_plugin, tmp_path, arguments):
    asked = {"datasets": "tiny", "methods": "tiny-noise", **arguments}
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert bench.run(**asked, plugin=str(tiny_plugin), dry_run=True, out=tmp_path / "none") == []
    except BenchError as error:
        size = len(str(error))
    else:
        size = 1
    assert 0 < size < 120_000
    assert not (tmp_path / "none").exists()
