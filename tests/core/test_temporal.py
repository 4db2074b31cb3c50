"""Temporal settings: names, written-out forms, and what does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import temporal
from bench.core.errors import BenchError
from bench.core.temporal import TemporalSetting


def test_the_presets_of_16_frames():
    assert temporal.presets(16) == {
        "dense": TemporalSetting(16, 16, 1, "nearest"),
        "keyframes-8": TemporalSetting(8, 16, 1, "linear"),
        "keyframes-4": TemporalSetting(4, 16, 1, "linear"),
        "keyframes-2": TemporalSetting(2, 16, 1, "linear"),
        "keyframes-adaptive": TemporalSetting(2, 16, 1, "adaptive"),
        "static": TemporalSetting(1, 1, 1, "nearest"),
        "segments-2": TemporalSetting(16, 16, 2, "nearest"),
        "segments-4": TemporalSetting(16, 16, 4, "nearest"),
    }


@pytest.mark.parametrize(
    ("frames", "names"),
    [
        (8, {"dense", "keyframes-4", "keyframes-2", "keyframes-adaptive", "static", "segments-2", "segments-4"}),
        (6, {"dense", "keyframes-4", "keyframes-2", "keyframes-adaptive", "static", "segments-2"}),
        (3, {"dense", "keyframes-2", "keyframes-adaptive", "static"}),
    ],
)
def test_presets_that_do_not_fit_are_left_out(frames, names):
    assert set(temporal.presets(frames)) == names


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 8, 16, 30])
def test_every_preset_parses_by_name_and_written_out(frames):
    for name, setting in temporal.presets(frames).items():
        assert temporal.parse(name, frames) == setting
        assert temporal.parse(str(setting), frames) == setting
        assert temporal.parse(setting.label(frames), frames) == setting


def test_forms():
    setting = temporal.parse("n4-r8-k2-linear", 16)
    assert setting == TemporalSetting(4, 8, 2, "linear")
    assert str(setting) == "n4-r8-k2-linear"
    assert setting.label(16) == "n4-r8-k2-linear"
    assert temporal.parse("n16-r16-k1-nearest", 16).label(16) == "dense"
    assert temporal.dense(8).is_dense(8)
    assert not temporal.dense(8).is_dense(16)
    assert not TemporalSetting(8, 8, 1, "linear").is_dense(8)


@given(
    st.integers(1, 64), st.integers(-1, 65), st.integers(-1, 65), st.integers(-1, 65),
    st.sampled_from(["nearest", "linear", "cubic"]),
)  # fmt: skip
def test_exactly_the_settings_that_fit_are_accepted(frames, n_syn, n_real, segments, interpolation):
    text = f"n{n_syn}-r{n_real}-k{segments}-{interpolation}"
    fits = (
        1 <= n_syn <= frames and 1 <= n_real <= frames and segments >= 1
        and n_syn % segments == 0 and n_real % segments == 0 and frames % segments == 0 and not frames == segments > 1
    )  # fmt: skip
    if fits:
        # With one frame a segment, or all of them, nothing is to be filled in: one spelling, one cell.
        nothing_between = {n_syn // segments, n_real // segments} <= {1, frames // segments}
        how = "nearest" if nothing_between else interpolation
        assert str(temporal.parse(text, frames)) == f"n{n_syn}-r{n_real}-k{segments}-{how}"
    else:
        with pytest.raises(BenchError):
            temporal.parse(text, frames)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dens", ["'dens' is no temporal setting", "dense, keyframes-4", "n4-r8-k1-linear"]),
        ("", ["'' is no temporal setting"]),
        ("keyframes-8", ["'keyframes-8' is no temporal setting", "keyframes-4"]),
        ("n4-r8-k1", ["'n4-r8-k1' is no temporal setting"]),
        ("n4-r8-k1-quadratic", ["no such interpolation", "nearest, linear, cubic, adaptive"]),
        ("n4-r8-k1-adaptive", ["adaptive starts from two frames", "n2-r8-k1-adaptive"]),
        ("n16-r8-k1-nearest", ["does not fit clips of 8 frames"]),
        ("n0-r8-k1-nearest", ["does not fit clips of 8 frames"]),
        ("n3-r8-k2-nearest", ["does not fit", "a divisor of n, r and 8"]),
        ("n6-r8-k3-nearest", ["does not fit", "a divisor of n, r and 8"]),
    ],
)
def test_a_wrong_setting_is_answered_in_one_sentence(text, words):
    with pytest.raises(BenchError) as caught:
        temporal.parse(text, 8)
    message = str(caught.value)
    assert message.startswith("--settings: ")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_the_taxonomy_moves_one_factor_at_a_time():
    centre = temporal.dense(16)
    grid = temporal.taxonomy(16)
    for setting in grid["stored frames"]:
        assert (setting.n_real, setting.segments) == (16, 1)
    for setting in grid["real frames"]:
        assert (setting.n_syn, setting.segments) == (16, 1)
    for setting in grid["segments"]:
        assert (setting.n_syn, setting.n_real, setting.interpolation) == (16, 16, "nearest")
    assert [setting.n_syn for setting in grid["stored frames"]] == [8, 4, 2, 1]
    assert [setting.n_real for setting in grid["real frames"]] == [8, 4, 2, 1]
    assert [setting.segments for setting in grid["segments"]] == [2, 4]
    # Around the same four frames, linear being among the stored frames.
    assert {setting.interpolation for setting in grid["interpolation"]} == {"nearest", "cubic"}
    everything = temporal.parse_all(["taxonomy"], 16)
    assert everything[0] == centre
    assert len(everything) == len(set(everything)) == 13
    assert all(temporal.parse(str(setting), 16) == setting for setting in everything)


def test_settings_are_read_once_each_in_order():
    found = temporal.parse_all(["static", "dense", "taxonomy", "n1-r1-k1-linear"], 8)
    assert found[:2] == [temporal.parse("static", 8), temporal.dense(8)]
    assert len(found) == len(set(found)) == 1 + len(temporal.parse_all(["taxonomy"], 8))
