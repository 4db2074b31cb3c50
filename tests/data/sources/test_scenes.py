"""Clips of ``scenes``: they never change, videos stay whole, and pictures are as real ones are."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest

from bench.api import Geometry
from bench.data.sources import scenes_render, scenes_video
from bench.data.sources.scenes import CLASSES, CLIPS, Scenes, ScenesOptions
from bench.data.sources.scenes_render import Window, draw_clip
from bench.data.sources.scenes_video import FITTED, MOVEMENTS, generator, sample_video
from bench.data.splits import validation_groups

SMALL = Geometry(frames=8, gap=8, scale=32, size=32)


def make(**options):
    return Scenes(ScenesOptions(**options), root="")


def load(split, clips=CLIPS, **options):
    """The first ``clips`` clips of each video of a split ``(N, T, H, W, 3)`` in [0, 1], their labels and their videos."""
    dataset = make(**options)
    refs = [ref for ref in dataset.index(SMALL).clips if ref.split == split and int(ref.key[-1]) < clips]
    pixels = np.stack([dataset.read(ref, SMALL)[0] for ref in refs]) / np.float32(255)
    return pixels, np.array([ref.label for ref in refs]), np.array([ref.group for ref in refs])


@pytest.fixture(scope="module")
def train():
    return load("train", clips=1)


@pytest.fixture(scope="module")
def test():
    return load("test", clips=2)


def videos(count, **fit):
    """So many videos of each class, by class."""
    chosen = dataclasses.replace(FITTED, **fit)
    return {name: [sample_video(0, name, f"{name}/{i}", chosen) for i in range(count)] for name in CLASSES}


# ----------------------------------------------------------------------------------------------------------------------
# The dataset


def test_the_bytes_are_these_on_every_machine():
    dataset = make(train=6, test=1)
    digest = hashlib.sha256()
    for ref in dataset.index(SMALL).clips:
        digest.update(dataset.read(ref, SMALL).tobytes())
    assert digest.hexdigest() == "6f1ac18e1e895bb057ef1c4eeb9b343f91c8fc235b03c37357257c590afb4a89"


def test_each_class_has_the_videos_of_ucf101_and_each_video_is_in_one_split():
    clips = make().index(SMALL).clips
    assert Counter((clip.split, clip.label) for clip in clips) == {
        (split, label): count for split, count in (("train", 90), ("test", 35)) for label in range(9)
    }
    assert set(Counter(clip.group for clip in clips).values()) == {CLIPS}
    assert (
        len({(clip.group, clip.split, clip.label) for clip in clips}) == len({clip.group for clip in clips}) == 9 * 25
    )


def test_every_class_has_videos_to_tune_on():
    clips = [clip for clip in make().index(SMALL).clips if clip.split == "train"]
    held = validation_groups([clip.label for clip in clips], [clip.group for clip in clips])
    assert Counter(group.split("/")[1] for group in held) == dict.fromkeys(CLASSES, 4)


def test_the_classes_are_the_movements():
    assert tuple(MOVEMENTS) == CLASSES


def test_seeds_and_videos_differ_and_so_do_clips_of_a_video():
    one, two, other = make(seed=0), make(seed=1), make(seed=0).index(SMALL).clips
    first, second, next_video, tested = other[0], other[1], other[CLIPS], other[-1]
    drawn = [one.read(clip, SMALL) for clip in (first, second, next_video, tested)] + [two.read(first, SMALL)]
    for a, b in itertools.combinations(drawn, 2):
        assert not np.array_equal(a, b)
    assert one.index(SMALL).fingerprint != two.index(SMALL).fingerprint


def test_a_larger_picture_shows_the_same_scene():
    clip = make().index(SMALL).clips[7]
    small, large = (make(size=size).read(clip, dataclasses.replace(SMALL, size=size))[0] for size in (32, 64))
    shrunk = large.reshape(8, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.97


def test_later_windows_go_on_where_the_first_ends():
    video = sample_video(0, "wave", "train/wave/g000")
    once, twice = (draw_clip(video, generator(0, "clip"), Window(views, 8, 32)) for views in (1, 2))
    assert twice.shape == (2, 8, 32, 32, 3)
    assert np.abs(once[0].astype(float) - twice[0]).mean() < 255 * 0.03  # their noise differs


# ----------------------------------------------------------------------------------------------------------------------
# What tells of the class


def test_a_place_is_typical_as_far_as_the_fit_says():
    kept = videos(12, place=1.0, least=1.0, shared=0.0)
    assert {len({video.place.tone.tobytes() for video in of}) for of in kept.values()} == {scenes_video.PLACES}
    assert not set.intersection(*({video.place.tone.tobytes() for video in of} for of in kept.values()))
    anywhere = videos(12, place=1.0, least=1.0, shared=1.0)
    assert len({video.place.tone.tobytes() for of in anywhere.values() for video in of}) == scenes_video.PLACES
    own = videos(12, place=0.0)
    assert len({video.place.tone.tobytes() for of in own.values() for video in of}) == 12 * 9


def test_some_classes_are_told_more_easily_than_others():
    """``run`` is always seen in one of its places; what ``jump`` is seen in is hardly ever alike."""
    likeness = {}
    for name, of in videos(30, place=1.0, look=0.5, least=0.2, shared=0.0).items():
        finest = np.stack([video.place.fields[-1].ravel() for video in of])
        likeness[name] = np.max(np.corrcoef(finest) - 2 * np.eye(len(of)))
    assert likeness["run"] == pytest.approx(1.0)
    assert likeness["jump"] == pytest.approx(0.2, abs=0.1)
    ease = [MOVEMENTS[name].ease for name in CLASSES]
    assert sorted(ease) == pytest.approx(np.linspace(0, 1, 9))
    assert np.argsort(ease).tolist() == np.argsort([likeness[name] for name in CLASSES]).tolist()


def test_mixing_places_keeps_their_variance():
    one, two = (scenes_video.sample_place(generator(name)) for name in ("one", "two"))
    for share in (0.0, 0.3, 0.7, 1.0):
        mixed = scenes_video.mix_places(share, one, two)
        variances = [np.var(np.concatenate([field.ravel() for field in place.fields])) for place in (one, two, mixed)]
        assert variances[2] == pytest.approx(share * variances[0] + (1 - share) * variances[1], rel=0.05)


def test_an_actor_looks_typical_as_far_as_the_fit_says():
    alike = videos(4, look=1.0, least=1.0)
    assert all(len({video.actor.tones.tobytes() for video in of}) == 1 for of in alike.values())
    unlike = videos(4, look=0.0)
    assert len({video.actor.tones.tobytes() for of in unlike.values() for video in of}) == 4 * 9


def test_an_actor_moves_as_its_class_does_as_often_as_the_fit_says():
    assert all({video.movement for video in of} == {MOVEMENTS[name]} for name, of in videos(4, moves=1.0).items())
    for moves in (0.0, 0.5):
        typical = [video.movement == MOVEMENTS[name] for name, of in videos(60, moves=moves).items() for video in of]
        assert np.mean(typical) == pytest.approx(moves + (1 - moves) / 9, abs=0.05)


def test_movements_take_the_actor_where_they_say():
    """A lone actor on black: ``bow`` goes up and down, ``swing`` goes across, ``run`` goes away."""
    spread = {}
    for name in ("bow", "swing", "run"):
        video = sample_video(0, name, "alone", dataclasses.replace(FITTED, moves=1.0))
        dark = dataclasses.replace(
            video.place, fields=tuple(0 * field for field in video.place.fields), tone=np.full(3, -9.0)
        )
        white = dataclasses.replace(video.actor, tones=np.ones((4, 3)), size=np.full(2, 0.1))
        video = dataclasses.replace(
            video, place=dark, actor=white, contrast=np.array(1.0), home=np.full(2, 0.5), vigour=np.array(1.0)
        )
        clip = draw_clip(video, generator(0, name), Window(1, 16, 32))[0, ..., 0].astype(float)
        mass = clip.sum((1, 2))
        centres = [(clip.sum(axis) * np.arange(32)).sum(1) / mass for axis in (1, 2)]  # across, down
        spread[name] = [float(np.ptp(centre)) for centre in centres]
    assert spread["bow"][1] > 3 > spread["bow"][0]
    assert spread["swing"][0] > 8 > spread["swing"][1]
    assert spread["run"][0] > 12


def test_a_wave_is_nearly_a_sine():
    turns = np.linspace(-2, 2, 1001)
    assert np.abs(scenes_render.wave(turns) - np.sin(2 * np.pi * turns)).max() < 0.06


# ----------------------------------------------------------------------------------------------------------------------
# Pictures as real ones are: the bounds are figures of nine classes of UCF101 (docs/data.md), give or take


def test_tones_contrast_and_spectrum_are_those_of_real_clips(train):
    clips, _, _ = train
    frames = clips[:, 4]
    assert frames.mean((0, 1, 2)) == pytest.approx([0.398, 0.367, 0.323], abs=0.05)
    assert clips.mean((1, 2, 3, 4)).std() == pytest.approx(0.112, abs=0.03)
    assert frames.std((1, 2)).mean() == pytest.approx(0.221, abs=0.03)
    grey = frames.mean(3)
    power = (
        np.abs(np.fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * np.outer(np.hanning(32), np.hanning(32)))) ** 2
    )
    waves = np.fft.fftfreq(32) * 32
    radius = np.hypot(*np.meshgrid(waves, waves))
    bands = [power[:, np.abs(radius - k) <= 0.5].mean() for k in range(2, 13)]
    assert np.polyfit(np.log(range(2, 13)), np.log(bands), 1)[0] == pytest.approx(-2.58, abs=0.7)


def test_frames_change_as_those_of_real_clips_do(train):
    clips, labels, _ = train
    energy = np.abs(np.diff(clips, axis=1)).mean((1, 2, 3, 4))
    assert np.median(energy) == pytest.approx(0.035, abs=0.01)
    assert np.percentile(energy, 10) < 0.019
    assert np.percentile(energy, 90) > 0.06
    grey = clips.mean(4) - clips.mean((2, 3, 4))[:, :, None, None]
    for lag, real in ((1, 0.901), (4, 0.788), (7, 0.745)):
        pairs = zip(grey[:, 0], grey[:, lag], strict=True)
        assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]) == pytest.approx(real, abs=0.06)
    assert energy[labels == CLASSES.index("run")].mean() > 1.5 * energy[labels == CLASSES.index("stir")].mean()


def test_clips_of_a_video_are_alike(test):
    clips, _, _ = test
    means = clips.mean(1).reshape(len(clips) // 2, 2, -1)
    within = ((means[:, 0] - means[:, 1]) ** 2).mean()
    between = ((means[1:, 0] - means[:-1, 1]) ** 2).mean()
    assert 0.05 < within / between < 0.4


def test_a_mean_frame_tells_something_of_the_class_and_not_all(train, test):
    def describe(clips):
        return clips.mean(1).reshape(len(clips), 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(clips), -1)

    nearest = ((describe(test[0])[:, None] - describe(train[0])) ** 2).sum(2).argmin(1)
    assert 0.18 < np.mean(train[1][nearest] == test[1]) < 0.6
