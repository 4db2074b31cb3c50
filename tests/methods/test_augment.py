"""Siamese augmentation: what each transform does, that two batches share it, and that frames move together."""

from __future__ import annotations

import math

import pytest
import torch
from bench.methods import _augment

from bench.core.rng import generator

CLIPS = torch.randn(3, 3, 4, 16, 16, generator=generator("clips"))


@pytest.mark.parametrize("transform", _augment.TRANSFORMS)
def test_two_batches_with_generators_of_one_state_are_transformed_alike(transform: _augment.Transform) -> None:
    both = transform(CLIPS, generator("draw"))
    alone = transform(CLIPS[1:2], generator("draw"))
    assert both.shape == CLIPS.shape
    torch.testing.assert_close(both[1:2], alone)


@pytest.mark.parametrize("transform", [_augment.crop, _augment.cutout, _augment.flip, _augment.scale, _augment.rotate])
def test_all_frames_of_a_clip_move_alike(transform: _augment.Transform) -> None:
    still = CLIPS[:, :, :1].expand_as(CLIPS)
    for number in range(8):
        moved = transform(still, generator("draw", number))
        torch.testing.assert_close(moved, moved[:, :, :1].expand_as(moved))


@pytest.mark.parametrize("transform", _augment.TRANSFORMS)
def test_the_gradient_reaches_the_clips(transform: _augment.Transform) -> None:
    clips = CLIPS.double().clone().requires_grad_(True)
    weights = torch.randn(clips.shape, generator=generator("weights")).double()
    (gradient,) = torch.autograd.grad((transform(clips, generator("draw")) * weights).sum(), [clips])
    direction = torch.randn(clips.shape, generator=generator("direction")).double()
    moved = (transform((clips + direction).detach(), generator("draw")) * weights).sum()
    base = (transform(clips.detach(), generator("draw")) * weights).sum()
    # every transform is affine in the clips, so the derivative is the whole difference
    assert (moved - base).item() == pytest.approx((gradient * direction).sum().item(), rel=1e-9)


def test_crop_shifts_by_whole_pixels_and_fills_with_zero() -> None:
    seen = set()
    for number in range(60):
        moved = _augment.crop(CLIPS, generator("draw", number))
        shifts = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(
                moved[..., max(0, down) : 16 + min(0, down), max(0, right) : 16 + min(0, right)],
                CLIPS[..., max(0, -down) : 16 + min(0, -down), max(0, -right) : 16 + min(0, -right)],
            )
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert {down for down, _ in seen} == {right for _, right in seen} == {-2, -1, 0, 1, 2}


def test_cutout_blanks_a_square_of_half_the_side() -> None:
    sizes = []
    for number in range(60):
        blank = _augment.cutout(torch.ones_like(CLIPS), generator("draw", number))[0, 0, 0] == 0
        rows, columns = blank.any(dim=1).sum().item(), blank.any(dim=0).sum().item()
        assert blank.sum().item() == rows * columns
        sizes.append((rows, columns))
    assert max(sizes) == (8, 8)
    assert min(min(size) for size in sizes) < 8  # it may hang over the border


def test_rotation_turns_by_at_most_fifteen_degrees() -> None:
    """The centre of mass of a blob off the centre says by how much."""
    side = 33
    blob = torch.zeros(1, 1, 1, side, side)
    blob[..., 15:18, 26:29] = 1.0  # to the right of the centre (16, 16), by 11
    axis = torch.arange(side, dtype=torch.float32) - 16
    angles = []
    for number in range(80):
        image = _augment.rotate(blob, generator("draw", number))[0, 0, 0]
        y = (image.sum(dim=1) * axis).sum() / image.sum()
        x = (image.sum(dim=0) * axis).sum() / image.sum()
        assert math.hypot(x, y) == pytest.approx(11, abs=0.2)
        angles.append(math.degrees(math.atan2(y, x)))
    assert 13 < max(angles) < 15.5
    assert -15.5 < min(angles) < -13


def test_scale_stretches_each_side_by_at_most_a_fifth() -> None:
    side = 65
    blob = torch.zeros(1, 1, 1, side, side)
    blob[..., 31:34, 51:54] = 1.0  # 20 to the right of the centre
    axis = torch.arange(side, dtype=torch.float32) - 32
    factors = []
    for number in range(80):
        image = _augment.scale(blob, generator("draw", number))[0, 0, 0]
        factors.append(((image.sum(dim=0) * axis).sum() / image.sum()).item() / 20)
    assert 1.15 < max(factors) < 1.22
    assert 0.81 < min(factors) < 0.87


def test_flip_mirrors_half_of_the_time() -> None:
    flipped = [torch.equal(_augment.flip(CLIPS, generator("draw", k)), CLIPS.flip(-1)) for k in range(200)]
    assert 75 < sum(flipped) < 125


def test_colour_keeps_contrast_and_saturation_in_their_ranges() -> None:
    spreads = []
    for number in range(200):
        changed = _augment.colour(CLIPS, generator("draw", number))
        grey = changed.mean(dim=1)
        spreads.append((grey.std() / CLIPS.mean(dim=1).std()).item())
    assert 0.5 < min(spreads) < 0.55  # saturation leaves greys alone: this is contrast, in [0.5, 1.5]
    assert 1.45 < max(spreads) < 1.5


def test_each_strategy_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["colour", "crop", "cutout", "flip", "scale", "rotate"]
    drawn: list[str] = []
    fakes = tuple(lambda clips, rng, name=name: drawn.append(name) or clips for name in names)
    monkeypatch.setattr(_augment, "TRANSFORMS", fakes)
    for number in range(120):
        _augment.siamese(CLIPS, generator("draw", number))
    assert set(drawn) == set(names)
    assert len(drawn) == 120


def test_where_a_network_is_trained_every_clip_has_its_own_draw_of_one_transform() -> None:
    alike = torch.randn(1, 3, 4, 16, 16, generator=generator("clip")).expand(40, -1, -1, -1, -1)
    for number in range(12):
        together, apart = (_augment.siamese(alike, generator("draw", number), each) for each in (False, True))
        kinds = [len({tuple(clip.flatten().tolist()) for clip in clips}) for clips in (together, apart)]
        assert kinds[0] == 1
        assert kinds[1] == 2 or kinds[1] > 10  # mirrored or not; else as many as there are places, sizes or colours


@pytest.mark.parametrize("transform", [_augment.scale, _augment.rotate])
def test_coordinates_are_those_of_the_edges_of_pixels(transform: _augment.Transform) -> None:
    """As grid_sample takes them unless told otherwise: the corner of a picture of 2 x 2 lies half a pixel beyond its centre."""
    clips, rng = torch.ones(1, 1, 1, 64, 64), generator("draw", 3)
    moved = transform(clips, rng)
    plain = generator("draw", 3)
    if transform is _augment.scale:
        height, width = (torch.rand((), generator=plain).item() * (1.2 - 1 / 1.2) + 1 / 1.2 for _ in range(2))
        matrix = torch.tensor([[width, 0.0], [0.0, height]])
    else:
        angle = math.radians((torch.rand((), generator=plain).item() - 0.5) * 30)
        matrix = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # How far a pixel's place lies inside of the picture, in pixels: half a pixel is the last that is seen whole.
    centres = (torch.arange(64) + 0.5) / 32 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    places = torch.stack([x, y], dim=-1) @ matrix.T
    weight = ((1 - places.abs()) * 32 + 0.5).clamp(0, 1).prod(dim=-1)
    torch.testing.assert_close(moved[0, 0, 0], weight, rtol=1e-4, atol=1e-4)
