"""Key frames expanded to clips: held for equal times, or mixed in proportion; exact where it can be."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import torch

from bench.api import SyntheticSet
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.core.temporal import Interpolation
from bench.running.cell.costs import count_set
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet, expand, sources

EVERY = torch.arange(3)


def stored(frames: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.randn(3, 3, frames, 4, 5, generator=generator("stored"))
    return (60 * values + 120).clamp(0, 255).to(dtype) if dtype == torch.uint8 else values


def rendered(synthetic: SyntheticSet) -> torch.Tensor:
    return synthetic.render(EVERY, generator("render"))


@pytest.mark.parametrize(
    ("count", "frames", "shown"),
    [
        (1, 4, [0, 0, 0, 0]),
        (2, 4, [0, 0, 1, 1]),
        (4, 8, [0, 0, 1, 1, 2, 2, 3, 3]),
        (3, 8, [0, 0, 0, 1, 1, 1, 2, 2]),
        (5, 8, [0, 0, 1, 1, 2, 3, 3, 4]),
        (1, 1, [0]),
    ],
)
def test_nearest_holds_each_stored_frame(count: int, frames: int, shown: list[int]) -> None:
    clips = stored(count)
    found = expand(clips, frames, "nearest")
    for t, source in enumerate(shown):
        assert torch.equal(found[:, :, t], clips[:, :, source])


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_all_frames_stored_is_the_dense_set_to_the_bit(
    frames: int, interpolation: Interpolation, dtype: torch.dtype
) -> None:
    clips, labels = stored(frames, dtype), torch.tensor([0, 1, 2])
    assert torch.equal(
        rendered(KeyframeSet(clips, labels, frames, interpolation)), rendered(DenseSet(clips, labels))
    )  # fmt: skip


@pytest.mark.parametrize(("count", "frames"), [(2, 9), (3, 9), (5, 9), (2, 5), (3, 5), (2, 2)])
def test_linear_reproduces_a_ramp_exactly(count: int, frames: int) -> None:
    """The key frames stand at whole times here, and all numbers are sums of few powers of two: no rounding anywhere."""
    times = torch.linspace(0, frames - 1, count)
    slope = torch.tensor([1.0, -0.5, 4.0]).view(1, 3, 1, 1, 1)
    ramp = slope * torch.arange(frames).view(1, 1, -1, 1, 1) + 2
    assert torch.equal(expand(slope * times.view(1, 1, -1, 1, 1) + 2, frames, "linear"), ramp)


@pytest.mark.parametrize(("count", "frames"), [(2, 8), (3, 8), (4, 16), (7, 8), (4, 5)])
def test_linear_is_numpys_interpolation(count: int, frames: int) -> None:
    clips = stored(count).double()
    places = np.linspace(0, frames - 1, count)
    found = expand(clips, frames, "linear")
    for i, c, y, x in [(0, 0, 0, 0), (2, 1, 3, 4), (1, 2, 2, 1)]:
        expected = np.interp(np.arange(frames), places, clips[i, c, :, y, x].numpy())
        np.testing.assert_allclose(found[i, c, :, y, x].numpy(), expected, rtol=0, atol=1e-12)
    assert torch.equal(found[:, :, [0, -1]], clips[:, :, [0, -1]])


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_one_stored_frame_stands_all_the_time(interpolation: Interpolation) -> None:
    clips = stored(1)
    assert torch.equal(expand(clips, 6, interpolation), clips.expand(-1, -1, 6, -1, -1))


def test_weights_of_the_sources_are_exact() -> None:
    left, right, weights = sources(3, 8, "linear")
    for t in range(8):
        place = Fraction(2 * t, 7)
        assert left[t] == int(place)
        assert right[t] == min(left[t] + 1, 2)
        assert weights[t] == float(place - int(place))


@pytest.mark.parametrize(
    ("interpolation", "gradient"),
    [("nearest", [3.0, 3.0, 2.0]), ("linear", [1 + 5 / 7 + 3 / 7 + 1 / 7, 24 / 7, 1 + 5 / 7 + 3 / 7 + 1 / 7])],
)
def test_a_stored_frame_gathers_the_gradient_of_all_frames_it_is_in(
    interpolation: Interpolation, gradient: list[float]
) -> None:
    frames = stored(3).requires_grad_(True)
    synthetic = KeyframeSet(frames, torch.tensor([0, 1, 2]), 8, interpolation)
    synthetic.render(torch.tensor([1]), generator("render")).sum().backward()
    assert frames.grad is not None
    assert frames.grad[1, 0, :, 0, 0].tolist() == pytest.approx(gradient)
    assert float(frames.grad[[0, 2]].abs().sum()) == 0


def test_pixels_are_normalised_before_they_are_mixed() -> None:
    pixels = stored(2, torch.uint8)
    synthetic = KeyframeSet(pixels, torch.tensor([0, 1, 2]), 3, "linear")
    dense = rendered(DenseSet(pixels, torch.tensor([0, 1, 2])))
    torch.testing.assert_close(rendered(synthetic)[:, :, 1], dense.mean(dim=2))


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_only_the_stored_frames_count_and_the_set_comes_back_from_its_options(interpolation: Interpolation) -> None:
    synthetic = KeyframeSet(stored(2, torch.uint8), torch.tensor([2, 0, 1]), 8, interpolation)
    report = count_set(synthetic, None)
    assert (report.storage_bytes, report.storage_bytes_fp32) == (3 * 3 * 2 * 4 * 5, 4 * 3 * 3 * 2 * 4 * 5)
    options = json.loads(json.dumps(synthetic.options()))
    again = KeyframeSet.restore(synthetic.tensors(), synthetic.labels, options)
    assert again.labels.tolist() == [2, 0, 1]
    assert torch.equal(rendered(again), rendered(synthetic))


@pytest.mark.parametrize(
    ("frames", "total", "interpolation", "words"),
    [
        (stored(3), 2, "nearest", "n from 1 to the 2 frames of a clip; they are (3, 3, 3, 4, 5)"),
        (stored(3)[:, :, :0], 2, "nearest", "n from 1 to the 2 frames"),
        (stored(3)[:, :, 0], 8, "nearest", "must be (N, C, n, H, W)"),
        (stored(3), 8, "adaptive", "no interpolation 'adaptive' (valid: nearest, linear, cubic)"),
    ],
)
def test_what_is_no_key_frame_set_is_refused_in_a_sentence(
    frames: torch.Tensor, total: int, interpolation: Interpolation, words: str
) -> None:
    with pytest.raises(BenchError) as caught:
        KeyframeSet(frames, EVERY, total, interpolation)
    assert words in str(caught.value)
