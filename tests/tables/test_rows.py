"""The shapes of a leaderboard."""

from __future__ import annotations

import pytest

from bench.tables.rows import setting_label


@pytest.mark.parametrize(
    ("written", "frames", "label"),
    [
        ("n16-r16-k1-nearest", 16, "dense"),
        ("n8-r8-k1-nearest", 16, "n8-r8-k1-nearest"),
        ("n8-r16-k1-linear", 16, "keyframes-8"),
        ("n1-r1-k1-nearest", 8, "static"),
        ("n8-r8-k4-nearest", 8, "segments-4"),
        ("n99-r1-k1-nearest", 8, "n99-r1-k1-nearest"),
        ("of another version", 8, "of another version"),
    ],
)
def test_settings_are_called_by_their_preset(written, frames, label):
    assert setting_label(written, frames) == label
