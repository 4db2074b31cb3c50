"""Procedural clips: where the class is and where it is not, and that a clip never changes."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from bench.api import ClipRef, Geometry
from bench.core.config import build
from bench.core.errors import BenchError
from bench.data.sources import shapes, shapes_render
from bench.data.sources.shapes import ShapesAppearance, ShapesMixed, ShapesMotion, ShapesOptions, Traits

SMALL = Geometry(frames=8, gap=8, scale=32, size=32)
VARIANTS = [ShapesMotion, ShapesAppearance, ShapesMixed]


def make(variant, **options):
    return variant(ShapesOptions(**options), root="")


def load(dataset, split):
    """All clips of a split ``(N, T, H, W, 3)`` and their labels."""
    refs = [ref for ref in dataset.index(SMALL).clips if ref.split == split]
    return np.stack([dataset.read(ref, SMALL)[0] for ref in refs]), np.array([ref.label for ref in refs])


@pytest.fixture(scope="module")
def motion():
    return load(make(ShapesMotion, train=90, test=60), "train"), load(make(ShapesMotion, train=1, test=60), "test")


@pytest.fixture(scope="module")
def appearance():
    return load(make(ShapesAppearance, train=90), "train"), load(make(ShapesAppearance, test=60), "test")


# ----------------------------------------------------------------------------------------------------------------------
# A single frame of shapes-motion tells nothing, exactly


def scene_of(rng, movement, plain=True):
    return shapes_render.sample_scene(rng, "disc", "halves", movement, plain)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("movement", shapes.MOVEMENTS)
def test_only_the_step_of_a_scene_depends_on_the_movement(movement, plain):
    scenes = [scene_of(np.random.default_rng(5), m, plain) for m in ("right", movement)]
    for field in dataclasses.fields(shapes_render.Scene):
        if field.name != "step":
            assert np.array_equal(*(getattr(scene, field.name) for scene in scenes)), field.name
    steps = scenes[1].step
    speeds = np.hypot(steps[:, 0], steps[:, 1])
    assert np.all((shapes_render.SPEED[0] <= speeds) & (speeds <= shapes_render.SPEED[1]))
    assert np.allclose(steps[:, :2], speeds[:, None] * shapes_render.MOVEMENTS[movement])
    assert np.all(np.abs(steps[:, 2:]) <= (0 if plain else shapes_render.DRIFT))


def test_where_the_movement_tells_nothing_shapes_move_less_than_a_pixel_a_frame():
    steps = [scene_of(np.random.default_rng(seed), None, plain=False).step[:, :2] for seed in range(50)]
    speeds = 32 * np.linalg.norm(np.concatenate(steps), axis=1)
    assert 0 < speeds.min() < speeds.max() < 0.65


@pytest.mark.parametrize("movement", shapes.MOVEMENTS)
def test_places_are_uniform_and_independent_at_any_time(movement):
    """Kolmogorov-Smirnov on every coordinate, and on differences, which show any dependence between two shapes."""
    rng = np.random.default_rng(6)
    scenes = [scene_of(rng, movement, plain=False) for _ in range(3000)]
    at = np.stack([shapes_render.states(scene, np.array([0, 5]))[:2] for scene in scenes])  # (scene, shape, time, axis)
    samples = [at[:, shape, time, axis] for shape, time, axis in itertools.product((0, 1), (0, 1), range(4))]
    samples += [(at[:, 0, 1, a] - at[:, 1, 1, b]) % 1.0 for a, b in itertools.product(range(4), range(4))]
    samples += [(at[:, 0, 1, a] - at[:, 0, 1, b]) % 1.0 for a, b in itertools.combinations(range(4), 2)]
    plain = [shapes_render.states(scene_of(rng, movement), np.array([0, 5]))[0] for _ in range(3000)]
    samples += [np.stack(plain)[:, time, axis] for time, axis in itertools.product((0, 1), range(2))]
    p_values = [stats.kstest(sample, "uniform").pvalue for sample in samples]
    assert min(p_values) * len(p_values) > 0.001


def test_plain_clips_differ_in_place_speed_and_noise_alone():
    one, other = (scene_of(np.random.default_rng(seed), "up") for seed in (1, 2))
    differing = {
        field.name
        for field in dataclasses.fields(shapes_render.Scene)
        if not np.array_equal(getattr(one, field.name), getattr(other, field.name))
    }
    assert differing <= {"start", "step", "noise", "waves"}
    assert not one.tints.any()  # the waves are not seen
    assert np.array_equal(one.start[:, 2:], other.start[:, 2:])


def test_a_frame_is_drawn_from_its_state_alone():
    """No motion blur: a moving scene at time t is, to a rounding error, the still scene that starts there."""
    scene = scene_of(np.random.default_rng(7), "up-left", plain=False)
    there = shapes_render.states(scene, np.array([5]))[:, 0]
    still = dataclasses.replace(scene, start=there, step=np.zeros_like(scene.step))
    moving = shapes_render.render(scene, np.arange(8), 32)
    assert np.abs(moving[5] - shapes_render.render(still, np.array([0]), 32)[0]).max() < 1e-4
    assert np.abs(moving[5] - moving[4]).max() > 0.2


@pytest.mark.parametrize("time", [0, 3, 7])
def test_frames_of_all_movements_have_the_same_statistics(motion, time):
    (clips, labels), _ = motion
    features = describe(clips[:, time])
    assert analysis_of_variance(features, labels) > 0.001


def test_the_same_statistics_do_differ_between_looks(appearance):
    (clips, labels), _ = appearance
    assert analysis_of_variance(describe(clips[:, 3]), labels) < 1e-6


def test_no_classifier_of_single_frames_beats_chance_on_motion_and_both_do_on_appearance(motion, appearance):
    for classify in (nearest_neighbours, linear):
        for time in (0, 4):
            ((clips, labels), (test_clips, test_labels)) = motion
            guess = classify(describe(clips[:, time]), labels, describe(test_clips[:, time]))
            low, high = stats.binom.interval(0.999, len(test_labels), 1 / 8)
            assert low <= np.sum(guess == test_labels) <= high
        ((clips, labels), (test_clips, test_labels)) = appearance
        guess = classify(describe(clips[:, 4]), labels, describe(test_clips[:, 4]))
        assert np.mean(guess == test_labels) > 0.3


def describe(frames):
    """Standardised statistics of frames ``(N, H, W, 3)`` that a change of size, place or look would shift."""
    colour = frames.astype(np.float64) / 255
    grey = colour.mean(3)
    centred = grey - grey.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred)) ** 2
    waves = np.fft.fftfreq(grey.shape[1]) * grey.shape[1]
    radius = np.hypot(*np.meshgrid(waves, waves))
    columns = [colour.mean((1, 2)), colour.std((1, 2))]
    columns += [np.stack([(centred**k).mean((1, 2)) for k in (3, 4)], 1)]
    columns += [np.stack([np.mean(grey < level, (1, 2)) for level in (0.1, 0.2, 0.3, 0.6, 0.7, 0.8)], 1)]
    columns += [np.stack([np.abs(grey - np.roll(grey, d, axis)).mean((1, 2)) for d in (1, 2, 4) for axis in (1, 2)], 1)]
    columns += [np.stack([np.log(power[:, (radius >= r) & (radius < r + 2)].mean(1)) for r in range(1, 15, 2)], 1)]
    columns += [grey.reshape(len(grey), 4, 8, 4, 8).mean((2, 4)).reshape(len(grey), -1)]
    features = np.concatenate(columns, 1)
    return (features - features.mean(0)) / features.std(0)


def analysis_of_variance(features, labels):
    """Smallest p-value over the features that class means are equal, times their number (Bonferroni)."""
    groups = [features[labels == label] for label in np.unique(labels)]
    return stats.f_oneway(*groups).pvalue.min() * features.shape[1]


def nearest_neighbours(features, labels, test, count=9):
    distances = ((test[:, None] - features[None]) ** 2).sum(2)
    nearest = labels[np.argsort(distances, 1)[:, :count]]
    return np.array([np.bincount(row, minlength=8).argmax() for row in nearest])


def linear(features, labels, test):
    wanted = np.eye(8)[labels] - 1 / 8
    weights = np.linalg.solve(features.T @ features + 10 * np.eye(features.shape[1]), features.T @ wanted)
    return (test @ weights).argmax(1)


# ----------------------------------------------------------------------------------------------------------------------
# Two frames tell the movement, and a reversed clip shows the opposite one


def shift(clip):
    """Displacement (rows, columns) per frame that circular cross-correlation finds, the still background taken out."""
    grey = clip.astype(np.float64).mean(3)
    moving = np.fft.fft2(grey - grey.mean(0))
    peak = np.fft.ifft2((moving[1:] * moving[:-1].conj()).sum(0)).real
    side = grey.shape[1]
    row, column = np.unravel_index(peak.argmax(), peak.shape)
    return (row + side // 2) % side - side // 2, (column + side // 2) % side - side // 2


def test_cross_correlation_tells_right_from_left_and_reversed_right_is_left(motion):
    (clips, labels), _ = motion
    right, left = (clips[labels == shapes.MOVEMENTS.index(name)] for name in ("right", "left"))
    assert np.mean([shift(clip)[1] > 0 for clip in right]) > 0.9
    assert np.mean([shift(clip)[1] < 0 for clip in left]) > 0.9
    assert np.mean([shift(clip[::-1])[1] < 0 for clip in right]) > 0.9


def test_down_increases_the_row(motion):
    (clips, labels), _ = motion
    down, up = (clips[labels == shapes.MOVEMENTS.index(name)] for name in ("down", "up"))
    assert np.mean([shift(clip)[0] > 0 for clip in down]) > 0.9
    assert np.mean([shift(clip)[0] < 0 for clip in up]) > 0.9


def lone(kind="disc", texture="halves", start=(0.5, 0.5, 0.0, 0.5), step=(0.0, 0.0, 0.0, 0.0)):
    """A scene of one white and black shape on grey."""
    return shapes_render.Scene(
        kinds=(kind,),
        textures=(texture,),
        start=np.array([start]),
        step=np.array([step]),
        light=np.ones((1, 3), np.float32),
        dark=np.zeros((1, 3), np.float32),
        base=np.full(3, 0.5, np.float32),
        waves=np.zeros((1, 3), np.float32),
        tints=np.zeros((1, 3), np.float32),
        noise=0.0,
    )


def test_a_positive_turn_is_clockwise_on_the_screen():
    before, after = shapes_render.render(lone(step=(0, 0, 0.25, 0)), np.arange(2), 32)
    assert before[16, 19].min() > 0.99  # the light half lies right of the centre,
    assert before[16, 12].max() < 0.01
    assert after[19, 16].min() > 0.99  # then below it
    assert after[12, 16].max() < 0.01


def test_a_disc_has_the_radius_of_its_phase():
    for phase in (0.0, 0.5, 0.99):
        frame = shapes_render.render(lone(start=(0.5, 0.5, 0.0, phase)), np.array([0]), 64)[0]
        area = np.mean(np.abs(frame[..., 0] - 0.5) > 0.25)
        small, large = shapes_render.RADII
        assert area == pytest.approx(np.pi * (small * (large / small) ** phase) ** 2, rel=0.03)


def test_shapes_wrap_around_the_borders():
    middle = shapes_render.render(lone("star", "quarter"), np.array([0]), 32)[0]
    corner = shapes_render.render(lone("star", "quarter", (0.0, 0.25, 0.0, 0.5)), np.array([0]), 32)[0]
    assert np.abs(np.roll(middle, (-8, -16), (0, 1)) - corner).max() < 1e-4


def test_no_step_is_taken_for_the_opposite_one():
    assert max(shapes_render.SPEED) < 0.5
    assert len(set(shapes_render.MOVEMENTS.values())) == 8
    assert np.allclose([np.hypot(*direction) for direction in shapes_render.MOVEMENTS.values()], 1)


def test_every_pair_of_looks_differs_in_every_pose():
    """Same place and size: no turn of one look gives another."""
    turns = [(0.5, 0.5, turn, 0.5) for turn in np.arange(0, 1, 1 / 16)]
    looks = list(itertools.product(shapes.KINDS, shapes.TEXTURES))
    fixed = [shapes_render.render(lone(*look), np.array([0]), 24)[0, ..., 0] for look in looks]
    turned = [
        shapes_render.render(lone(*look, start=turns[0], step=(0, 0, 1 / 16, 0)), np.arange(16), 24) for look in looks
    ]
    for (i, still), (j, poses) in itertools.product(enumerate(fixed), enumerate(turned)):
        if i != j:
            assert np.abs(poses[..., 0] - still).mean((1, 2)).min() > 0.004, (looks[i], looks[j])


# ----------------------------------------------------------------------------------------------------------------------
# A clip is a function of variant, seed, key and geometry


def first(dataset):
    return dataset.index(SMALL).clips[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_reading_twice_gives_the_same_bits(variant):
    dataset = make(variant)
    ref = first(dataset)
    again = pickle.loads(pickle.dumps(dataset))
    clip = dataset.read(ref, SMALL)
    assert clip.dtype == np.uint8
    assert clip.shape == (1, 8, 32, 32, 3)
    assert np.array_equal(clip, again.read(ref, SMALL))
    assert np.array_equal(clip, make(variant, train=3, test=7).read(ref, SMALL))


def test_seed_key_and_variant_each_give_another_clip():
    dataset = make(ShapesMotion)
    refs = dataset.index(SMALL).clips
    clips = [
        dataset.read(refs[0], SMALL),
        dataset.read(refs[1], SMALL),
        make(ShapesMotion, seed=1).read(refs[0], SMALL),
    ]
    clips.append(make(ShapesMixed).read(refs[0], SMALL))
    clips.append(dataset.read(dataclasses.replace(refs[0], key=refs[0].key.replace("train", "test")), SMALL))
    for one, other in itertools.combinations(clips, 2):
        assert np.abs(one.astype(int) - other).mean() > 5


def test_views_are_consecutive_windows_and_longer_clips_go_on():
    dataset = make(ShapesMixed)
    ref = first(dataset)
    views = dataset.read(ref, dataclasses.replace(SMALL, views=3))
    longer = dataset.read(ref, dataclasses.replace(SMALL, frames=24))
    assert views.shape == (3, 8, 32, 32, 3)
    assert np.array_equal(views.reshape(longer.shape), longer)
    assert np.array_equal(views[:1], dataset.read(ref, SMALL))


def test_a_clip_is_the_same_scene_at_every_size():
    dataset = make(ShapesMotion)
    for ref in dataset.index(SMALL).clips[::300]:
        large = dataset.read(ref, dataclasses.replace(SMALL, size=64))[0].astype(float)
        halved = large.reshape(8, 32, 2, 32, 2, 3).mean((2, 4))
        small = dataset.read(ref, SMALL)[0].astype(float)
        assert np.corrcoef(halved.ravel(), small.ravel())[0, 1] > 0.9


def test_golden_clip():
    """Coarse statistics of one clip; if they change, GENERATOR_VERSION must rise."""
    assert shapes.GENERATOR_VERSION == 3
    clip = make(ShapesMixed).read(ClipRef("train/disc-right/0000", 0, "train", ""), SMALL)[0].astype(float)
    assert clip.mean((0, 1, 2)) == pytest.approx(GOLDEN_COLOURS, abs=0.3)
    assert clip[4].mean(2).reshape(4, 8, 4, 8).mean((1, 3)).ravel() == pytest.approx(GOLDEN_FRAME, abs=1.0)


GOLDEN_COLOURS = [106.1, 106.0, 106.0]
GOLDEN_FRAME = [
    114.0,
    115.0,
    114.0,
    115.0,
    114.0,
    114.0,
    92.0,
    106.0,
    114.0,
    109.0,
    25.0,
    153.0,
    115.0,
    115.0,
    81.0,
    99.0,
]


# ----------------------------------------------------------------------------------------------------------------------
# Listing


def test_the_vocabulary_is_the_renderers():
    assert tuple(shapes_render.KINDS) == shapes.KINDS
    assert tuple(shapes_render.TEXTURES) == shapes.TEXTURES
    assert tuple(shapes_render.MOVEMENTS) == shapes.MOVEMENTS


@pytest.mark.parametrize(("variant", "classes"), [(ShapesMotion, 8), (ShapesAppearance, 8), (ShapesMixed, 12)])
def test_index_lists_every_class_evenly(variant, classes):
    index = make(variant, train=5, test=3).index(SMALL)
    assert index.dataset == variant.name
    assert len(set(index.classes)) == len(index.classes) == classes
    for split, count in (("train", 5), ("test", 3)):
        labels = [ref.label for ref in index.clips if ref.split == split]
        assert np.bincount(labels, minlength=classes).tolist() == [count] * classes
    assert len({ref.key for ref in index.clips}) == len(index.clips) == 8 * classes
    assert all(ref.group == ref.key for ref in index.clips)
    assert all(ref.key.startswith(f"{ref.split}/{index.classes[ref.label]}/") for ref in index.clips)


def test_every_movement_of_a_class_table_comes_with_its_opposite():
    for variant in (ShapesMotion, ShapesMixed):
        table = {(traits.look(), shapes_render.MOVEMENTS[traits.movement]) for traits in make(variant).table()}
        assert {(look, (-across, -down)) for look, (across, down) in table} == table


def test_notes_carry_the_computed_ceiling():
    assert "0.125" in make(ShapesMotion).index(SMALL).notes[0]
    assert "chance" in make(ShapesMotion).index(SMALL).notes[0]
    assert "movement tells nothing" in make(ShapesAppearance).index(SMALL).notes[0]
    assert make(ShapesMixed).index(SMALL).notes == (
        "a method that stores still images can reach at most 0.250 in expectation: "
        "it can know the look (3) but not the movement (1 of 4)",
    )


def test_still_ceiling_is_the_best_of_all_assignments_of_looks_to_classes():
    table = [Traits("disc", "spot", "right"), Traits("disc", "spot", "left"), Traits("bar", "spot", "right")]
    table += [Traits("bar", "checks", "left"), Traits("disc", "spot", "up")]
    counts = [3, 5, 2, 4, 1]
    looks = sorted({traits.look() for traits in table})
    best = max(
        sum(count for i, count in enumerate(counts) if guess[looks.index(table[i].look())] == i)
        for guess in itertools.product(range(5), repeat=len(looks))
    )
    assert shapes.still_ceiling(table, counts) == pytest.approx(best / 15)
    assert best == 11


def test_fingerprint_changes_with_variant_seed_counts_and_version(monkeypatch):
    marks = [make(variant).index(SMALL).fingerprint for variant in VARIANTS]
    marks += [make(ShapesMotion, **{name: 7}).index(SMALL).fingerprint for name in ("seed", "train", "test", "frames")]
    assert make(ShapesMotion).index(SMALL).fingerprint == marks[0]
    monkeypatch.setattr(shapes, "GENERATOR_VERSION", 0)
    marks.append(make(ShapesMotion).index(SMALL).fingerprint)
    assert len(set(marks)) == len(marks)


def test_options_shape_the_geometry():
    paper = Geometry(16, 4, 120, 112, 3)
    assert make(ShapesMotion).geometry(paper) == paper
    assert make(ShapesMotion, frames=4, size=48).geometry(paper) == Geometry(4, 4, 48, 48, 3)


@pytest.mark.parametrize("field", ["frames", "size", "train", "test", "seed"])
def test_options_out_of_range_are_refused_in_a_sentence(field):
    with pytest.raises(BenchError, match=f"shapes-motion: {field}='-1' is not at least "):
        build(ShapesOptions, {field: "-1"}, "shapes-motion")


def test_listing_needs_neither_numpy_nor_torch():
    code = (
        "import sys; from bench.core.lazy import defer, is_loaded; defer('torch')\n"
        "from bench.data.sources.shapes import *; from bench.data.standin import stand_in; from bench.api import Geometry\n"
        "ShapesMixed(ShapesOptions(), '').index(Geometry(8, 8, 32, 32))\n"
        "assert not is_loaded('torch') and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
