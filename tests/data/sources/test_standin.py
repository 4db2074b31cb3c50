"""Procedural clips in a named dataset's place."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from bench import plugins
from bench.api import Dataset, DeclaredSize, Geometry, NoOptions
from bench.core.errors import BenchError
from bench.core.registry import Origin
from bench.data.sources.shapes import ShapesMotion, ShapesOptions
from bench.data.standin import MOST_CLASSES, spread, stand_in, traits_table

SMALL = Geometry(frames=8, gap=8, scale=32, size=32)


class Named(Dataset[NoOptions]):
    """A dataset that is not on this machine."""

    name: ClassVar[str] = "named"
    size: ClassVar[DeclaredSize] = DeclaredSize(101, 9537, 3783)

    def declared(self):
        return self.size

    def geometry(self, profile):
        return Geometry(profile.frames, 2, 40, 24, 2)

    def index(self, geometry):
        raise AssertionError("a stand-in must not look for the data")

    def read(self, clip, geometry):
        raise AssertionError("a stand-in must not read the data")


class Large(Named):
    name: ClassVar[str] = "large"
    size: ClassVar[DeclaredSize] = DeclaredSize(MOST_CLASSES + 1, 10_000, 1_000)


class Huge(Named):
    name: ClassVar[str] = "huge"
    size: ClassVar[DeclaredSize] = DeclaredSize(400, 1234, 567)


@dataclass(frozen=True)
class Required:
    """Options without defaults."""

    which: int


class NeedsOption(Named):
    name: ClassVar[str] = "needs-option"
    Config: ClassVar[type] = Required


class NeedsArgument(Named):
    name: ClassVar[str] = "needs-argument"
    takes_argument: ClassVar[bool] = True


def test_counts_are_exactly_the_declared_ones():
    for dataset in (Named, Huge):
        index = stand_in(dataset(NoOptions(), "")).index(SMALL)
        assert len(set(index.classes)) == len(index.classes) == dataset.size.classes
        for split, total in (("train", dataset.size.train), ("test", dataset.size.test)):
            counts = Counter(ref.label for ref in index.clips if ref.split == split)
            assert sum(counts.values()) == total
            assert [counts[label] for label in range(dataset.size.classes)] == spread(total, dataset.size.classes)
        assert len({ref.key for ref in index.clips}) == len(index.clips)


def test_spread_gives_the_remainder_to_the_first_classes():
    assert spread(11, 4) == [3, 3, 3, 2]
    assert spread(8, 4) == [2, 2, 2, 2]


def test_index_says_that_it_is_a_stand_in_and_how_far_stills_get():
    index = stand_in(Named(NoOptions(), "")).index(SMALL)
    assert index.dataset == "named (stand-in)"
    assert "say nothing about named itself" in index.notes[0]
    looks_ceiling = (
        sum(spread(3783, 101)[look * 8] for look in range(13)) / 3783
    )  # 101 = 12 looks of 8 movements and one of 5
    assert f"at most {looks_ceiling:.3f} in expectation: it can know the look (13)" in index.notes[1]
    assert index.fingerprint != stand_in(Huge(NoOptions(), "")).index(SMALL).fingerprint


def test_classes_are_distinct_pairs_of_look_and_movement_up_to_the_most():
    table = traits_table(MOST_CLASSES)
    assert MOST_CLASSES >= 400
    assert len(set(table)) == len({traits.name() for traits in table}) == MOST_CLASSES
    assert traits_table(101) == table[:101]
    assert [traits.name() for traits in table[7:9]] == ["disc-down-right", "square-right"]
    assert table[64].name() == "disc-checks-right"


def test_clips_have_the_datasets_geometry_and_the_classs_look():
    dataset = stand_in(Named(NoOptions(), ""))
    geometry = dataset.geometry(SMALL)
    assert geometry == Geometry(8, 2, 40, 24, 2)
    refs = dataset.index(geometry).clips
    clip = dataset.read(refs[-1], geometry)
    assert clip.shape == (2, 8, 24, 24, 3)
    assert np.array_equal(clip, pickle.loads(pickle.dumps(dataset)).read(refs[-1], geometry))
    assert not np.array_equal(clip, dataset.read(refs[-2], geometry))
    assert not np.array_equal(clip, stand_in(Huge(NoOptions(), "")).read(refs[-1], geometry))


def test_it_declares_what_the_dataset_declares():
    assert stand_in(Named(NoOptions(), "")).declared() == Named.size


def test_a_dataset_of_unknown_size_is_refused_with_those_that_are_known(monkeypatch):
    registries = plugins.Registries()
    for dataset in (Named, ShapesMotion, NeedsOption, NeedsArgument, Huge):
        registries.datasets.add(dataset.name, dataset, Origin("here", ""))
    monkeypatch.setattr(plugins, "load", lambda: registries)
    with pytest.raises(BenchError, match=r"nothing can stand in for 'shapes-motion'.*\(valid: named, huge\)"):
        stand_in(ShapesMotion(ShapesOptions(), ""))


def test_more_classes_than_can_be_drawn_are_refused():
    with pytest.raises(BenchError, match=f"'large' has {MOST_CLASSES + 1} classes.* {MOST_CLASSES} "):
        stand_in(Large(NoOptions(), ""))
