"""The clip store: built against the bare decoder of the same clips, read against copying as many bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bench.api import Geometry
from bench.data.clip_store import open_or_build
from bench.data.pixels import SplitClips
from bench.data.spec import parse_dataset
from tests.data.videos import write

GEOMETRIES = {"quick": Geometry(8, 8, 32, 32), "published": Geometry(16, 4, 112, 112)}


@pytest.fixture(params=GEOMETRIES)
def source(request, registries):
    """A small procedural dataset, its index and a geometry."""
    geometry = GEOMETRIES[request.param]
    dataset = parse_dataset("shapes-mixed[train=6,test=2]", registries)
    return dataset, dataset.index(geometry), geometry


def test_build(beside, source, tmp_path):
    dataset, index, geometry = source
    caches = (tmp_path / str(number) for number in range(100))

    def decode():
        for clip in index.clips:
            dataset.read(clip, geometry)

    beside(lambda: open_or_build(dataset, index, geometry, next(caches), 1), decode, clips=len(index.clips))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_build_of_videos(beside, registries, tmp_path, geometry):
    """Of files as UCF101 has them: 320x240, MPEG-4 with B-frames, seven seconds."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        for number in range(6):
            start = rng.integers(0, 256, (240 + 180, 320 + 180, 3), dtype=np.uint8).astype(np.float32)
            picture = gaussian_filter(start, (6, 6, 0)) * 4 - 384  # something to code, which moves
            frames = [picture[t : t + 240, t : t + 320].clip(0, 255).astype(np.uint8) for t in range(180)]
            write(
                tmp_path / "videos" / ("test" if number == 5 else "train") / label / f"{number}.avi", frames, "xvid.avi"
            )
    dataset = parse_dataset(f"folder:{tmp_path / 'videos'}", registries)
    index = dataset.index(GEOMETRIES[geometry])
    caches = (tmp_path / str(number) for number in range(100))

    def decode():
        for clip in index.clips:
            dataset.read(clip, GEOMETRIES[geometry])

    def build():
        open_or_build(dataset, index, GEOMETRIES[geometry], next(caches), 1)

    beside(build, decode, clips=len(index.clips))


@pytest.mark.parametrize("order", ["in order", "at random"])
def test_read(beside, source, tmp_path, order):
    dataset, index, geometry = source
    clips = SplitClips(open_or_build(dataset, index, geometry, tmp_path, 1), "train", torch.device("cpu"))
    count = len(clips)
    chosen = torch.arange(count) if order == "in order" else torch.randperm(count)
    view = torch.zeros_like(chosen)
    copy = np.ascontiguousarray(clips.store.clips[clips.positions])
    beside(lambda: clips.pixels(chosen, view), copy.copy, rounds=20, megabytes=copy.nbytes / 1e6)
