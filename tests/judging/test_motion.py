"""Motion energy against loops over decoded pixels, and which clips it is measured on."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from bench.api import ClipRef
from bench.data.clip_store import ClipStore
from bench.data.clip_table import ClipTable
from bench.data.pixels import normalise
from bench.judging import motion
from bench.judging.frozen import FrozenSet
from bench.judging.motion import evenly, measure, motion_energy
from bench.sets.dense import DenseSet


def clips(count: int, frames: int = 4, views: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, views, frames, 5, 6, 3), np.uint8)


def energy(clip: np.ndarray) -> float:
    """Of one decoded clip ``(T, H, W, C)``."""
    pairs = zip(clip[:-1].astype(float), clip[1:].astype(float), strict=True)
    return float(np.mean([np.abs(after - before).mean() / 255 for before, after in pairs]))


def store(pixels: np.ndarray, labels: list[int], splits: list[str]) -> ClipStore:
    refs = ClipTable(ClipRef(f"clip {i}", labels[i], splits[i], f"clip {i}") for i in range(len(pixels)))
    digest = hashlib.sha256(repr((pixels.tobytes(), labels, splits)).encode()).hexdigest()
    return ClipStore(("a", "b", "c"), pixels, refs, (), digest)


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels[:, 0]).permute(0, 4, 1, 2, 3)


def test_energy_is_the_mean_frame_difference_in_decoded_pixels() -> None:
    pixels = clips(3)
    found = motion_energy(normalise(to_tensor(pixels)))
    assert found.tolist() == pytest.approx([energy(clip[0]) for clip in pixels], rel=1e-5)


def test_a_step_of_known_size_a_still_clip_and_a_single_frame() -> None:
    step = torch.zeros(1, 3, 4, 2, 2, dtype=torch.uint8)
    step[:, 1, 2:] = 51  # one of three channels, at one of three transitions, by a fifth of the range
    assert float(motion_energy(normalise(step))) == pytest.approx(0.2 / 9)
    assert float(motion_energy(normalise(step[:, :, :2]))) == 0
    assert motion_energy(normalise(step[:, :, :1])).tolist() == [0]


def test_a_set_and_its_real_clips_are_measured_class_by_class() -> None:
    pixels = clips(7, views=3)
    real = store(pixels, [0, 1, 0, 2, 2, 1, 0], ["train"] * 5 + ["test"] * 2)
    chosen = clips(3, seed=1)
    synthetic = DenseSet(to_tensor(chosen), torch.tensor([2, 0, 2]))
    found = measure(synthetic, real, "train")
    middle = [energy(clip[1]) for clip in pixels]
    assert found.real == pytest.approx((np.mean([middle[0], middle[2]]), middle[1], np.mean(middle[3:5])), rel=1e-5)
    of_set = [energy(clip[0]) for clip in chosen]
    assert found.set[0] == pytest.approx(of_set[1], rel=1e-5)
    assert found.set[1] is None
    assert found.set[2] == pytest.approx((of_set[0] + of_set[2]) / 2, rel=1e-5)
    assert measure(FrozenSet(synthetic), real, "train") == dataclasses.replace(found, set=(0.0, None, 0.0))


def test_at_most_so_many_clips_are_measured_evenly_over_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert evenly(torch.arange(10, 20), 4).tolist() == [10, 12, 15, 17]
    assert evenly(torch.arange(3), 4).tolist() == [0, 1, 2]
    assert evenly(torch.arange(0), 4).tolist() == []
    monkeypatch.setattr(motion, "MOST_CLIPS", 7)
    pixels = clips(9)
    found = measure(DenseSet(to_tensor(pixels), torch.zeros(9, 3)), store(pixels, [0] * 9, ["train"] * 9), "train")
    assert found.real[0] == pytest.approx((energy(pixels[0][0]) + energy(pixels[4][0])) / 2, rel=1e-5)
    assert found.set[0] == found.real[0]


def test_real_clips_are_measured_once_for_all_sets_on_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = clips(6, seed=5)
    synthetic = DenseSet(torch.zeros(3, 3, 4, 5, 6), torch.tensor([0, 1, 2]))
    places, splits = [0, 0, 1, 1, 2, 2], ["train"] * 6
    first = measure(synthetic, store(pixels, places, splits), "train").real
    calls = []
    monkeypatch.setattr(motion, "normalise", lambda pixels: calls.append(1) or normalise(pixels))
    assert measure(synthetic, store(pixels, places, splits), "train").real == first
    assert not calls
    assert measure(synthetic, store(clips(6, seed=6), places, splits), "train").real != first
    assert calls
