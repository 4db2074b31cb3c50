"""A table of clips is the tuple that it was made of, and counts as that does."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.api import ClipRef
from bench.data.clip_table import ClipTable, Texts, as_table, number, per_class
from bench.data.sources.video_files import fingerprint

TEXT = st.text(st.characters(), max_size=8)  # with surrogates, as file names that are not UTF-8 have
CLIPS = st.lists(
    st.builds(ClipRef, TEXT, st.integers(0, 2**31 - 1), st.sampled_from(["train", "test"]), TEXT, st.integers(0, 2**62))
)


@given(st.lists(TEXT))
def test_texts_are_the_strings(strings):
    texts = Texts(strings)
    assert texts == tuple(strings)
    assert list(texts) == strings
    assert texts[1:] == Texts(strings[1:])
    assert (texts == Texts([*strings, ""])) is False
    assert pickle.loads(pickle.dumps(texts)) == texts
    with pytest.raises(IndexError):
        texts[len(strings)]


@given(CLIPS)
def test_a_table_is_the_clips(clips):
    clips = [c if c.group else ClipRef(c.key, c.label, c.split, c.key, c.size) for c in clips]
    table = ClipTable(iter(clips))
    assert list(table) == clips
    assert table == tuple(clips)
    assert pickle.loads(pickle.dumps(table)) == table
    assert table[::-2] == ClipTable(clips[::-2])
    for side in ("train", "test"):
        assert list(table.positions(side)) == [i for i, clip in enumerate(clips) if clip.split == side]
        assert number(table, side) == number(clips, side) == sum(clip.split == side for clip in clips)
        assert per_class(table, side) == per_class(clips, side)
        assert per_class(table, side) == Counter(clip.label for clip in clips if clip.split == side)
    assert fingerprint(("a",), table) == fingerprint(("a",), clips)
    assert as_table(table) is table
    assert as_table(clips) == table


def test_one_clip_more_or_another_field_is_another_table():
    clips = [ClipRef("a", 0, "train", "g", 3), ClipRef("b", 1, "test", "b", 4)]
    others = [
        ClipRef("c", 0, "train", "g", 3),
        ClipRef("a", 1, "train", "g", 3),
        ClipRef("a", 0, "test", "g", 3),
        ClipRef("a", 0, "train", "a", 3),
        ClipRef("a", 0, "train", "g", 0),
    ]
    table = ClipTable(clips)
    assert (table[1], table[-2], len(table)) == (clips[1], clips[0], 2)
    for other in others:
        assert table != ClipTable([other, clips[1]])
    assert table != ClipTable(clips[:1])
    assert {table, ClipTable(clips)} == {table}


def test_the_fingerprint_is_that_of_the_whole_json():
    clips = [ClipRef("a/é", 0, "train", "g", 3), ClipRef("b", 1, "test", "b", 4)]
    rows = [[clip.key, clip.size, clip.label, clip.split, clip.group] for clip in clips]
    for count in range(3):
        whole = hashlib.sha256(json.dumps([["x", "y"], rows[:count]]).encode()).hexdigest()
        assert fingerprint(("x", "y"), clips[:count]) == whole
