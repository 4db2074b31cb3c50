"""Something-Something V2 is read under both names of its lists; nobody fetches it for the user."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import pytest

from bench import plugins
from bench.api import DeclaredSize, Geometry, NoOptions
from bench.cli import data as command
from bench.core.errors import BenchError, MissingData
from bench.data.decode import window_frames
from bench.data.sources.ssv2 import SSv2
from bench.profiles import PAPER, QUICK
from tests.data.sources import layouts

GEOMETRY = Geometry(8, 1 << 16, 64, 64)


def ssv2(root):
    return SSv2(NoOptions(), str(root))


def test_the_published_geometry_and_counts():
    geometry = ssv2("").geometry(PAPER.geometry)
    assert (geometry.frames, geometry.scale, geometry.size, geometry.views) == (8, 64, 64, 1)
    assert window_frames(40, geometry).tolist() == [[2, 7, 12, 17, 22, 27, 32, 37]]  # the middle of each eighth
    assert window_frames(8, geometry).tolist() == [list(range(8))]
    assert ssv2("").geometry(QUICK.geometry).size == 32
    assert ssv2("").declared() == DeclaredSize(174, 168_913, 24_777)
    assert plugins.load().datasets.get("ssv2").default_profile == "paper"


@pytest.mark.parametrize(
    "layout",
    [{}, {"names": "something-something-v2-{}.json"}, {"names": "labels/{}.json"}, {"suffix": ".mp4"}],
)
def test_every_arrangement_gives_the_same_clips(tmp_path, layout):
    layouts.ssv2(tmp_path, layouts.small, 2, 1, **layout)
    index = ssv2(tmp_path).index(GEOMETRY)
    assert index.classes[10] == "Moving something 010 next to something"
    assert Counter((clip.label, clip.split) for clip in index.clips) == {
        (label, split): count for label in range(174) for split, count in (("train", 2), ("test", 1))
    }
    assert all((tmp_path / clip.key).stat().st_size == clip.size == 3 for clip in index.clips)
    assert index.clips[174 + 5].label == 5
    assert index.clips[3].key == f"20bn-something-something-v2/4{layout.get('suffix', '.webm')}"
    assert index.notes == (
        "The lists name 348 training and 174 test videos; the published ones name 168,913 and 24,777.",
    )
    assert len({clip.group for clip in index.clips}) == len(index.clips)
    assert pickle.loads(pickle.dumps(ssv2(tmp_path))).root == str(tmp_path)
    assert not index.mirrors


def test_videos_may_lie_in_the_root(tmp_path):
    layouts.ssv2(tmp_path, layouts.small, 1, 1)
    for path in (tmp_path / "20bn-something-something-v2").iterdir():
        path.rename(tmp_path / path.name)
    assert ssv2(tmp_path).index(GEOMETRY).clips[0].key == "1.webm"


def test_the_number_is_the_labels_own_and_case_does_not_matter(tmp_path):
    layouts.ssv2(tmp_path, layouts.small, 1, 1)
    names = list(json.loads((tmp_path / "labels.json").read_text()))
    numbers = {name.upper(): str(173 - i) for i, name in enumerate(names)}
    (tmp_path / "labels.json").write_text(json.dumps(numbers))
    index = ssv2(tmp_path).index(GEOMETRY)
    assert index.classes[173] == "MOVING SOMETHING 000 NEXT TO SOMETHING"
    assert index.clips[0].label == 173


def test_missing_videos_are_counted_and_named(tmp_path):
    layouts.ssv2(tmp_path, lambda path, number: None if number == 3 else layouts.small(path, number), 1, 1)
    message = r"1 of 348 clips are missing in .*: 20bn-something-something-v2/4.webm\. .*licence.*--stand-in"
    with pytest.raises(MissingData, match=message):
        ssv2(tmp_path).index(GEOMETRY)
    assert ssv2(tmp_path).listing().missing == {"20bn-something-something-v2/4.webm"}


def test_missing_lists_and_fetching_say_where_to_get_it(tmp_path):
    with pytest.raises(MissingData, match=r"no labels.json, train.json, validation.json in .*qualcomm.com"):
        ssv2(tmp_path).index(GEOMETRY)
    with pytest.raises(BenchError, match=r"data fetch: Something-Something V2 .*licence.*qualcomm.com.*--root"):
        command._fetch(ssv2(tmp_path))


GOOD = '{"id": "1", "template": "Moving [something] 000 next to [something]"}'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels", "[]", "labels.json: cannot be read as labels"),
        ("labels", "{", "labels.json: cannot be read as labels"),
        ("labels", '{"a": "0"}', "1 labels with 1 numbers; Something-Something V2 has 174, 0 to 173"),
        ("train", "[", "train.json: ends before its list does"),
        ("train", f"[{GOOD}, ", "train.json: ends before its list does"),
        ("train", f"[{GOOD}, {GOOD[:20]}", r"train.json: cannot be read near character 72: "),
        ("train", '["x"]', "train.json: cannot be read near character 4: "),
        ("train", '[{"id": "1"}]', "cannot be read near character 12: no 'template'"),
        ("train", GOOD.replace("1", "../1").join("[]"), r"id '../1' is not a number"),
        ("validation", GOOD.replace("000", "999").join("[]"), "video 1: template 'Moving .* 999 .*' is not in labels"),
    ],
)
def test_faulty_lists_are_one_sentence(tmp_path, name, text, message):
    layouts.ssv2(tmp_path, layouts.small, 1, 1)
    (tmp_path / f"{name}.json").write_text(text)
    with pytest.raises(BenchError, match=message):
        ssv2(tmp_path).index(GEOMETRY)


def test_a_video_in_both_lists_is_refused(tmp_path):
    layouts.ssv2(tmp_path, layouts.small, 1, 1)
    train, validation = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("train", "validation"))
    (tmp_path / "validation.json").write_text(json.dumps([*validation, train[0]]))
    with pytest.raises(BenchError, match=r"validation.json: 1 videos are listed for training and for testing"):
        ssv2(tmp_path).index(GEOMETRY)
