"""What titles call data of which several have one name: the same in every layout."""

from __future__ import annotations

import dataclasses

import pytest

from bench.tables.formats import render
from bench.tables.layouts import BY
from bench.tables.leaderboard import leaderboards

OTHER = "e" * 64


def made(record, written):
    return dataclasses.replace(record, data={**record.data, "written": written})


@pytest.fixture
def two(make_record):
    """Records of two data sets of one name: one drawn by the defaults, one with options."""
    plain = [made(make_record("dm", [30], setting=s), "shapes-mixed") for s in ("n8-r8-k1-nearest", "n4-r8-k1-linear")]
    few = [
        made(make_record("dm", [60], setting=s, fingerprint=OTHER), "shapes-mixed[train=4]")
        for s in ("n8-r8-k1-nearest", "n4-r8-k1-linear")
    ]
    return [*plain, *few]


@pytest.mark.parametrize("by", [by for by in BY if by not in ("nets", "probes")])  # of which these records hold nothing
def test_every_layout_tells_data_of_one_name_apart_by_their_options(two, by):
    text = render(two, "md", by)
    assert "shapes-mixed[train=4]" in text.replace("\\", "")
    assert "30.0" in text  # neither stands in the place of the other
    assert "60.0" in text


def test_one_data_set_alone_has_its_plain_name(two):
    assert {board.data for board in leaderboards(two[2:])} == {"shapes-mixed"}


def test_what_differs_is_said_where_a_record_does_not_know_the_options(two, make_record):
    boards = leaderboards([*two, make_record("random", [20], fingerprint=OTHER)])
    assert {board.data for board in boards} == {"shapes-mixed (data eeeeeeeeeeee)", "shapes-mixed (data ffffffffffff)"}
    longer = {**two[0].cell.geometry, "frames": 16}
    boards = leaderboards([two[0], make_record("random", [20], geometry=longer)])
    assert {board.data for board in boards} == {"shapes-mixed (frames 8)", "shapes-mixed (frames 16)"}


def test_data_of_two_profiles_need_no_more_than_the_profile(two, make_record):
    boards = leaderboards([two[0], make_record("dm", [20], profile="paper", fingerprint=OTHER)])
    assert [board.title.partition(" · ")[0] for board in boards] == ["shapes-mixed", "shapes-mixed"]
    assert len({board.title for board in boards}) == 2
