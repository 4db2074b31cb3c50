"""Each large dataset, its layout on disk made here, from its files through the clip store and a whole cell to the record."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from bench.cli import data as command
from bench.core.errors import BenchError
from bench.data.clip_store import open_or_build
from bench.data.spec import parse_dataset
from bench.profiles import QUICK
from bench.running.cell.cell import run_cell
from bench.running.options.request import Request
from bench.running.plan.plan import plan
from tests.data.sources import layouts

BROKEN = (0, 2, 60)


def hmdb(root, fill):
    layouts.hmdb(root, fill, lambda label: "111220")


DATASETS = {
    "hmdb51": (hmdb, "xvid.avi", 51, 3, 2),
    "hmdb51-all-train": (hmdb, "plain.avi", 51, 4, 2),
    "kinetics400": (lambda root, fill: layouts.kinetics(root, fill, 2, 1), "h264.mp4", 400, 2, 1),
    "ssv2": (lambda root, fill: layouts.ssv2(root, fill, 3, 1, suffix=".mkv"), "h264.mkv", 174, 3, 1),
}


@pytest.mark.parametrize("name", DATASETS)
def test_from_files_to_a_record(tmp_path, name, registries, context, reporter, capsys):
    make, codec, classes, train, test = DATASETS[name]
    root = tmp_path / "root"
    root.mkdir()
    make(root, layouts.linked(tmp_path, codec, broken=BROKEN))
    dataset = parse_dataset(name, registries, str(root))
    request = Request(("random",), (dataset,), (1,), (0,), ("dense",), "tiny", {})
    (planned,) = plan(request, registries)
    store = open_or_build(dataset, planned.index, planned.geometry, context.cache, 1)
    assert len(store.clips) == classes * (train + test) - len(BROKEN)
    assert store.classes == planned.index.classes
    assert len(store.positions("test")) == classes * test
    assert len(store.left_out) == 3
    assert {reason for _, reason in store.left_out} == {"the file is empty"}
    assert {key for key, _ in store.left_out} <= {clip.key for clip in planned.index.clips}
    middle = store.clips[:, 0, :, 8, 8, 0].astype(int)
    assert (np.diff(middle, axis=1) > 3).all()  # brighter from frame to frame, as the clip is
    record = run_cell(planned, registries, context, reporter)
    assert (record.status, record.reason) == ("ok", "")
    assert (record.data["classes"], record.data["train"]) == (classes, len(store.positions("train")))
    assert len(record.data["left_out"]) == 3
    assert record.set.clips == classes
    assert record.evaluations[0].tested() == len(store.positions("test"))
    args = ["check", name, "--root", str(root), "--workers", "1"]
    code, lines = check(capsys, args)
    assert code == 1
    assert (
        lines[-1] == f"{classes * (train + test):,} of {classes * (train + test):,} clips present, 3 of them unreadable"
    )


def check(capsys, args):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    capsys.readouterr()
    code = command.run(parser.parse_args(args))
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", DATASETS)
def test_a_class_without_a_readable_training_clip_stops_the_run(tmp_path, name, registries):
    make, codec, *_ = DATASETS[name]
    make(tmp_path, layouts.linked(tmp_path, codec, broken=range(5000)))
    dataset = parse_dataset(name, registries, str(tmp_path))
    geometry = dataset.geometry(QUICK.geometry)
    with pytest.raises(BenchError, match=f"{name}: no training clip of class .* can be used .*the file is empty"):
        open_or_build(dataset, dataset.index(geometry), geometry, tmp_path / "cache", 1)


@pytest.mark.parametrize("name", DATASETS)
def test_check_counts_present_and_missing_by_class(tmp_path, name, capsys):
    make, codec, classes, train, test = DATASETS[name]
    make(tmp_path, layouts.linked(tmp_path, codec, absent=(1,), broken=(5,)))
    code, lines = check(capsys, ["check", name, "--root", str(tmp_path), "--quick"])
    assert code == 1
    table = [line for line in lines if line.split()[-1:] == ["0"]]
    assert len(table) == classes
    absent = [line for line in table if line.split()[-2] == "1"]
    assert [line.split()[-5:] for line in absent] == [[str(train), str(test), str(train + test - 1), "1", "0"]]
    total = classes * (train + test)
    assert lines[-1] == f"{total - 1:,} of {total:,} clips present, none was opened"
    assert lines[-2].startswith("missing: ")
