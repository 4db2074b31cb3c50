"""What every procedural dataset must hold to; those that need files have tests of their own."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from bench import plugins
from bench.api import Geometry
from bench.core.errors import MissingData
from bench.data.clip_store import open_or_build
from bench.data.spec import parse_dataset
from bench.data.standin import stand_in

REGISTRIES = plugins.load()
GEOMETRY = Geometry(8, 8, 32, 32, 2)


def is_procedural(kind):
    """Whether it lists its clips without a folder."""
    if kind.takes_argument:
        return False
    try:
        kind(kind.Config(), "no such folder").index(GEOMETRY)
    except MissingData:
        return False
    return True


PROCEDURAL = [name for name, kind in REGISTRIES.datasets if is_procedural(kind)]


def dataset(name, **options):
    text = ",".join(f"{key}={value}" for key, value in options.items())
    return parse_dataset(f"{name}[{text}]", REGISTRIES)


def test_there_are_procedural_datasets():
    assert {"shapes-motion", "shapes-appearance", "shapes-mixed"} <= set(PROCEDURAL)


@pytest.mark.parametrize("name", PROCEDURAL)
def test_the_index_holds_what_the_options_say(name):
    index = dataset(name, train=3, test=2).index(GEOMETRY)
    classes = range(len(index.classes))
    assert len(set(index.classes)) == len(index.classes) > 1
    assert Counter((clip.label, clip.split) for clip in index.clips) == {
        (label, split): count for label in classes for split, count in (("train", 3), ("test", 2))
    }
    assert len({clip.key for clip in index.clips}) == len(index.clips)
    assert {clip.group for clip in index.clips if clip.split == "train"}.isdisjoint(
        clip.group for clip in index.clips if clip.split == "test"
    )
    assert index.dataset == name
    assert index.notes


@pytest.mark.parametrize("name", PROCEDURAL)
def test_the_default_profile_and_the_options_shape_the_clips(name):
    plain = dataset(name)
    assert plain.default_profile in ("quick", "paper")
    assert plain.geometry(GEOMETRY) == GEOMETRY
    small = dataset(name, frames=4, size=16).geometry(GEOMETRY)
    assert (small.frames, small.size, small.scale, small.views) == (4, 16, 16, 2)


@pytest.mark.parametrize("name", PROCEDURAL)
def test_a_clip_is_pixels_of_the_asked_shape_and_the_same_each_time(name):
    source = dataset(name, frames=4, size=16, train=2, test=1)
    geometry = source.geometry(GEOMETRY)
    index = source.index(geometry)
    copy = pickle.loads(pickle.dumps(source))
    clips = [source.read(clip, geometry) for clip in index.clips[:4]]
    for pixels, clip in zip(clips, index.clips, strict=False):
        assert pixels.shape == (2, 4, 16, 16, 3)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 0
        assert np.array_equal(copy.read(clip, geometry), pixels)
    assert not np.array_equal(clips[0], clips[1])


@pytest.mark.parametrize("name", PROCEDURAL)
def test_the_fingerprint_changes_exactly_with_the_data(name):
    def fingerprint(**options):
        return dataset(name, **options).index(GEOMETRY).fingerprint

    assert fingerprint() == fingerprint()
    changed = [fingerprint(**options) for options in ({"train": 5}, {"test": 5}, {"seed": 1})]
    assert len({fingerprint(), *changed}) == 4


@pytest.mark.parametrize("name", PROCEDURAL)
def test_the_store_holds_every_clip_where_the_index_says(name, tmp_path):
    source = dataset(name, frames=4, size=8, train=2, test=1)
    geometry = source.geometry(GEOMETRY)
    index = source.index(geometry)
    store = open_or_build(source, index, geometry, tmp_path, 1)
    assert store.left_out == ()
    assert store.classes == index.classes
    assert store.labels.tolist() == [clip.label for clip in index.clips]
    assert list(store.positions("train")) + list(store.positions("test")) == list(range(len(index.clips)))
    for position in (0, len(index.clips) - 1):
        assert np.array_equal(store.clips[position], source.read(index.clips[position], geometry))


@pytest.mark.parametrize("name", PROCEDURAL)
def test_no_clip_may_be_mirrored_where_a_class_moves_left_or_right(name):
    index = dataset(name).index(GEOMETRY)
    sided = [word for word in "-".join(index.classes).split("-") if word in ("left", "right")]
    assert not (index.mirrors and sided)


@pytest.mark.parametrize("name", ["miniucf", "hmdb51", "kinetics400"])
def test_what_stands_in_for_clips_that_may_be_mirrored_moves_left_and_right_and_may_not(name):
    index = stand_in(parse_dataset(name, REGISTRIES)).index(GEOMETRY)
    assert any("left" in text for text in index.classes)
    assert not index.mirrors
