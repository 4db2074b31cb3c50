"""Kinetics-400 is read as CVDF distributes it; missing videos are left out and counted, and fetching goes on where it stopped."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections import Counter

import pytest

from bench import plugins
from bench.api import DeclaredSize, Geometry, NoOptions
from bench.cli import data as command
from bench.core.errors import BenchError, MissingData
from bench.data import download
from bench.data.sources.kinetics400 import Kinetics400
from bench.data.standin import stand_in
from bench.profiles import PAPER, QUICK
from tests.data.sources import layouts

GEOMETRY = Geometry(8, 15, 64, 64)


def kinetics(root):
    return Kinetics400(NoOptions(), str(root))


def without(*numbers):
    """Makes small files, but for some."""
    return lambda path, number: None if number in numbers else layouts.small(path, number)


def test_the_published_geometry_and_counts():
    dataset = kinetics("")
    assert dataset.geometry(PAPER.geometry) == Geometry(8, 15, 64, 64, 1)
    assert dataset.geometry(QUICK.geometry) == Geometry(8, 15, 32, 32, 1)
    assert dataset.declared() == DeclaredSize(400, 246_534, 19_906)
    assert plugins.load().datasets.get("kinetics400").default_profile == "paper"
    index = stand_in(dataset).index(GEOMETRY)
    assert (len(index.classes), len(index.clips)) == (400, 246_534 + 19_906)


@pytest.mark.parametrize(
    "layout", [{}, {"flat": True}, {"annotations": "{}.csv"}, {"suffix": ".mkv"}, {"annotations": "kinetics_{}.csv"}]
)
def test_every_arrangement_gives_the_same_clips(tmp_path, layout):
    layouts.kinetics(tmp_path, layouts.small, 2, 1, **layout)
    index = kinetics(tmp_path).index(GEOMETRY)
    assert index.classes == tuple(f"action {label:03d} (it's)" for label in range(400))
    assert Counter((clip.label, clip.split) for clip in index.clips) == {
        (label, split): count for label in range(400) for split, count in (("train", 2), ("test", 1))
    }
    assert all((tmp_path / clip.key).stat().st_size == clip.size == 3 for clip in index.clips)
    assert index.clips[400].group == "-_t00000001"
    assert all(clip.group in clip.key and f"{clip.label:03d}" in clip.group for clip in index.clips)
    assert index.notes == ("The lists name 800 training and 400 test videos; those of CVDF name 246,534 and 19,906.",)
    assert pickle.loads(pickle.dumps(kinetics(tmp_path))).root == str(tmp_path)
    assert not index.mirrors


def test_missing_videos_are_left_out_and_counted(tmp_path):
    complete, lacking = tmp_path / "complete", tmp_path / "lacking"
    layouts.kinetics(complete, layouts.small, 2, 1)
    layouts.kinetics(lacking, without(0, 3, 801), 2, 1)
    listing, index = kinetics(lacking).listing(), kinetics(lacking).index(GEOMETRY)
    assert (len(listing.clips), len(listing.missing), len(index.clips)) == (1200, 3, 1197)
    assert "train/action 003 (it's)/-_t00030000_000000_000010.mp4" in listing.missing
    assert index.notes[-1] == ("3 of 1,200 listed videos are not there and left out: 2 for training, 1 for testing.")
    assert {clip.key for clip in index.clips} == {clip.key for clip in listing.clips} - listing.missing
    assert index.fingerprint != kinetics(complete).index(GEOMETRY).fingerprint


def test_a_class_without_a_training_video_is_named(tmp_path):
    layouts.kinetics(tmp_path, without(7, 407), 2, 1)
    with pytest.raises(MissingData, match=r"no training video of 1 of 400 classes \(action 007 \(it's\)\).*data fetch"):
        kinetics(tmp_path).index(GEOMETRY)


def test_a_replacement_goes_before_the_corrupt_video(tmp_path):
    layouts.kinetics(tmp_path, layouts.small, 1, 1)
    new = tmp_path / "replacement" / "replacement_for_corrupted_k400" / "-_t00050000_000000_000010.mp4"
    new.parent.mkdir(parents=True)
    new.write_bytes(b"longer")
    clip = kinetics(tmp_path).index(GEOMETRY).clips[5]
    assert (clip.key, clip.size) == (new.relative_to(tmp_path).as_posix(), 6)


def test_missing_lists_are_said_with_what_to_do(tmp_path):
    with pytest.raises(
        MissingData, match=r"no annotations/train.csv in .*data fetch kinetics400.*cvdfoundation.*--stand-in"
    ):
        kinetics(tmp_path).index(GEOMETRY)


def test_a_video_in_both_lists_counts_for_testing_and_a_doubled_line_once(tmp_path):
    layouts.kinetics(tmp_path, layouts.small, 2, 1)
    annotations = tmp_path / "annotations"
    train, val = ((annotations / f"{side}.csv").read_text().splitlines(True) for side in ("train", "val"))
    (annotations / "train.csv").write_text("".join([*train, train[1]]))
    (annotations / "val.csv").write_text("".join([*val, train[2]]))
    index = kinetics(tmp_path).index(GEOMETRY)
    assert len({clip.key for clip in index.clips}) == len(index.clips) == 1200
    assert [(clip.label, clip.split) for clip in index.clips if "-_t00010000" in clip.key] == [(1, "test")]
    assert [note.partition(":")[0] for note in index.notes[:2]] == [
        "Videos listed for training and for testing count for testing only",
        "Videos listed more than once count once",
    ]


@pytest.mark.parametrize(
    ("side", "text", "message"),
    [
        ("train", "label,time_start\n", r"train.csv: line 1 is 'label,time_start'; needed: label,youtube_id"),
        ("train", "", "line 1 is ''; needed"),
        ("train", "label,youtube_id,time_start,time_end\na,../../x,0,1\n", "line 2: 'a,../../x,0,1' is not label"),
        ("train", "label,youtube_id,time_start,time_end\na,x,,1\n", "line 2: 'a,x,,1' is not label"),
        ("train", "label,youtube_id,time_start,time_end\na,x,0,1\nb,x\n", "line 3: 'b,x' is not label"),
        ("train", "label,youtube_id,time_start,time_end\na,x,0,1\n", "1 labels; Kinetics-400 has 400"),
        ("val", "label,youtube_id,time_start,time_end\na,x,0,1\n", "val.csv: line 2: label 'a' is not one of those in"),
        ("val", 'label,youtube_id,time_start,time_end\n"a,x,0,1\n', "val.csv: not a CSV file in UTF-8"),
    ],
)
def test_faulty_lists_are_one_sentence(tmp_path, side, text, message):
    layouts.kinetics(tmp_path, layouts.small, 1, 1)
    (tmp_path / "annotations" / f"{side}.csv").write_text(text)
    with pytest.raises(BenchError, match=message):
        kinetics(tmp_path).index(GEOMETRY)


@pytest.fixture
def web(tmp_path, monkeypatch):
    """CVDF's server: three videos an archive; lists what was asked for, and breaks once where a test wants it."""
    source, asked, breaks = tmp_path / "source", [], []
    layouts.kinetics(source, layouts.small, 2, 1, flat=True)
    names = {side: sorted(path.name for path in (source / side).iterdir()) for side in ("train", "val")}

    def fake(url, target, progress=None):
        asked.append(url.removeprefix("https://s3.amazonaws.com/kinetics/400/"))
        if asked[-1] in breaks:
            breaks.remove(asked[-1])
            raise BenchError(f"{url}: the connection broke")
        if url.endswith(".csv"):
            target.write_bytes((source / "annotations" / url.rpartition("/")[2]).read_bytes())
            return target
        with tarfile.open(target, "w:gz") as archive:
            if "replacement" not in url:
                side, _, part = asked[-1].partition("/")
                number, parts = int(part.removeprefix("part_").removesuffix(".tar.gz")), {"val": 20, "train": 242}[side]
                for name in names[side][number::parts]:
                    info = tarfile.TarInfo(f"./{name}")
                    info.size = 3
                    archive.addfile(info, io.BytesIO(b"avi"))
        return target

    monkeypatch.setattr(download, "download", fake)
    return asked, breaks


def test_fetch_goes_on_where_it_stopped(tmp_path, capsys, web):
    asked, breaks = web
    root = tmp_path / "root"
    root.mkdir()
    breaks.append("train/part_100.tar.gz")
    with pytest.raises(BenchError, match=r"part_100.tar.gz: the connection broke; also needed: .* and 139 more"):
        command._fetch(kinetics(root))
    before = len(asked)
    assert before == 2 + 20 + 101
    assert command._fetch(kinetics(root)) == 0
    assert asked[before] == "train/part_100.tar.gz"
    assert len(set(asked)) == len(asked) - 1 == 2 + 20 + 242 + 1
    assert capsys.readouterr().out.splitlines()[-1] == f"kinetics400 is complete in {root}: 1,200 clips"
    assert len(kinetics(root).index(GEOMETRY).clips) == 1200
    assert sorted(path.name for path in root.iterdir()) == [".fetched", "annotations", "replacement", "train", "val"]
    assert command._fetch(kinetics(root)) == 0
    assert len(asked) == before + 143


def test_videos_that_no_archive_holds_are_told(tmp_path, capsys, web):
    root = tmp_path / "root"
    layouts.kinetics(root, without(3), 2, 1)  # by hand
    (root / "replacement").mkdir()
    assert command._fetch(kinetics(root)) == 0
    assert web[0] == []
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"kinetics400 is in {root}: 1,199 of 1,200 clips; no archive holds the others"
