"""The suite's profiles. Each is a named bundle of clip geometry, networks and protocol."""

from __future__ import annotations

from bench.api import Geometry, Profile

QUICK = Profile(
    name="quick",
    geometry=Geometry(frames=8, gap=8, scale=32, size=32),
    network="convnet3d-small",
    protocol="quick",
    summary="a CPU, minutes: 8 frames of 32x32",
    frame_network="cnn-mean-small",
)

PAPER = Profile(
    name="paper",
    geometry=Geometry(frames=16, gap=4, scale=120, size=112, views=3),
    network="convnet3d",
    protocol="standard",
    summary="the published geometry: 16 frames of 112x112",
    frame_network="cnn-mean",
)
