"""The temporal taxonomy: which frames are stored, what fills them in, what matching sees, segments, adaptive frames."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from bench.methods.dm import DM, DMConfig, dm_loss
from bench.methods.frepo import FRePo, FRePoConfig
from bench.methods.mtt import MTT, MTTConfig

from bench.api import SyntheticSet, Task
from bench.core import temporal
from bench.core.rng import generator
from bench.core.temporal import TemporalSetting
from bench.distill.real_start import coreset, random_choice, real_initialisation
from bench.distill.segments import SegmentTask, learn_in_time
from bench.distill.single_frames import FrameTask
from bench.running.cell.costs import count_set
from bench.sets.adaptive import AdaptiveSet, GrowingSet, neighbours, opposition
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet, as_matched, expand, known_frames, places, stored_frames
from tests.oracle.fake_task import FakeTask


def in_setting(text: str, **sizes: int) -> FakeTask:
    task = FakeTask(**{"classes": 2, "per_class": 4, "ipc": 1, **sizes})
    task.setting = temporal.parse(text, 4)
    return task


# ----------------------------------------------------------------------------------------------------------------------
# Stored frames and what fills them in


@pytest.mark.parametrize(
    ("stored", "interpolation", "expected"),
    [
        (1, "nearest", [4]), (1, "linear", [4]), (2, "nearest", [2, 6]), (4, "nearest", [1, 3, 5, 7]),
        (2, "linear", [0, 7]), (3, "linear", [0, 4, 7]), (8, "linear", list(range(8))), (8, "nearest", list(range(8))),
    ],
)  # fmt: skip
def test_which_frames_stand_for_a_clip(stored: int, interpolation: temporal.Interpolation, expected: list[int]) -> None:
    assert places(stored, 8, interpolation) == expected


def test_a_frame_held_by_nearest_is_one_of_the_time_it_is_shown_for() -> None:
    for frames, stored in itertools.product((8, 16), (1, 2, 4, 8)):
        shown = [t * stored // frames for t in range(frames)]
        for number, place in enumerate(places(stored, frames, "nearest")):
            assert shown[place] == number


def moving(frames: int, degree: int) -> torch.Tensor:
    """A clip whose every pixel is a polynomial of time."""
    coefficients = torch.randn(degree + 1, 1, 3, 1, 4, 5, generator=generator("polynomial")).double()
    time = torch.linspace(-1, 1, frames, dtype=torch.float64).view(1, 1, -1, 1, 1)
    return sum((coefficients[k] * time**k for k in range(degree + 1)), start=torch.zeros(()))


@pytest.mark.parametrize(("interpolation", "stored", "degree"), [("linear", 2, 1), ("cubic", 4, 3), ("cubic", 3, 2)])
def test_what_moves_as_a_polynomial_is_exact(interpolation: temporal.Interpolation, stored: int, degree: int) -> None:
    clip = moving(10, degree)  # 9 steps: every stored frame of 2 and 4 falls on one of the clip
    if stored == 3:
        clip = moving(9, degree)
    kept = stored_frames(clip, stored, interpolation, 1)
    torch.testing.assert_close(expand(kept, clip.shape[2], interpolation), clip, rtol=1e-9, atol=1e-9)
    fewer = expand(stored_frames(clip, 2, "linear", 1), clip.shape[2], "linear")
    assert torch.allclose(fewer, clip) == (degree == 1)


def test_cubic_frames_are_scipys_spline() -> None:
    from scipy.interpolate import CubicSpline

    stored = torch.randn(1, 2, 5, 3, 3, generator=generator("spline")).double()
    expected = CubicSpline(np.linspace(0, 15, 5), stored.numpy(), axis=2)(np.arange(16))
    np.testing.assert_allclose(expand(stored, 16, "cubic").numpy(), expected, rtol=1e-9, atol=1e-9)


def test_segments_are_expanded_each_by_itself() -> None:
    stored = torch.randn(2, 3, 4, 5, 5, generator=generator("segments"))
    found = expand(stored, 8, "linear", segments=2)
    for number in range(2):
        alone = expand(stored[:, :, 2 * number : 2 * number + 2], 4, "linear")
        assert torch.equal(found[:, :, 4 * number : 4 * number + 4], alone)
    assert not torch.allclose(found, expand(stored, 8, "linear"))


@pytest.mark.parametrize("segments", [1, 2])
def test_all_frames_with_nearest_are_the_dense_set_to_the_bit(segments: int) -> None:
    clips = torch.randn(2, 3, 4, 5, 5, generator=generator("dense"))
    index, rng = torch.tensor([1, 0]), generator("r")
    dense = DenseSet(clips, torch.arange(2)).render(index, rng)
    assert torch.equal(KeyframeSet(clips, torch.arange(2), 4, "nearest", segments).render(index, rng), dense)


# ----------------------------------------------------------------------------------------------------------------------
# What is stored of real clips, and what matching sees of them


@pytest.mark.parametrize("text", ["n2-r4-k1-linear", "n2-r4-k1-nearest", "n2-r4-k2-nearest", "static"])
def test_a_coreset_stores_the_frames_of_its_setting(text: str) -> None:
    task = in_setting(text)
    chosen = random_choice(task)
    kept = coreset(task, chosen).tensors()["frames"]
    setting = task.setting
    expected = stored_frames(task.pixels(torch.cat(chosen)), setting.n_syn, setting.interpolation, setting.segments)
    assert kept.dtype == torch.uint8
    assert torch.equal(kept, expected)
    assert kept.numel() == 2 * 3 * setting.n_syn * 16 * 16


def matched(clips: torch.Tensor, setting: TemporalSetting) -> torch.Tensor:
    return as_matched(known_frames(clips, setting), clips.shape[2], setting)


def test_matching_sees_n_real_frames_expanded_again() -> None:
    clips = torch.randn(2, 3, 8, 4, 4, generator=generator("real"))
    seen = matched(clips, TemporalSetting(8, 2, 1, "nearest"))
    assert torch.equal(seen[:, :, :4], clips[:, :, 2:3].expand(-1, -1, 4, -1, -1))
    assert torch.equal(seen[:, :, 4:], clips[:, :, 6:7].expand(-1, -1, 4, -1, -1))
    seen = matched(clips, TemporalSetting(8, 4, 2, "linear"))  # two ends of each half
    torch.testing.assert_close(seen[:, :, 1], torch.lerp(clips[:, :, 0], clips[:, :, 3], 1 / 3))
    torch.testing.assert_close(seen[:, :, 6], torch.lerp(clips[:, :, 4], clips[:, :, 7], 2 / 3))
    assert matched(clips, TemporalSetting(2, 8, 1, "linear")) is clips


# ----------------------------------------------------------------------------------------------------------------------
# Learning in a setting


def test_learning_key_frames_is_gradient_descent_through_the_expansion() -> None:
    config = DMConfig(steps=3, lr=0.5, momentum=0.5, batch_real=4)
    task = in_setting("n2-r4-k1-linear")
    learned = DM(config).distill(task)
    frames = real_initialisation(task).tensors()["frames"].clone().requires_grad_(True)
    optimiser = torch.optim.SGD([frames], lr=0.5, momentum=0.5)
    for step in range(3):
        network = task.network(task.rng("network", step))
        thirds = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0]).view(1, 1, 4, 1, 1)
        clips = frames[:, :, :1] * (1 - thirds) + frames[:, :, 1:] * thirds
        real = torch.stack([network.features(task.data[i : i + 4]).mean(0) for i in (0, 4)]).detach()
        optimiser.zero_grad()
        dm_loss(real, network.features(clips), torch.tensor([0, 1])).backward()
        optimiser.step()
    torch.testing.assert_close(learned.tensors()["frames"], frames.detach(), rtol=1e-4, atol=1e-4)


def test_the_losses_of_segments_add_up() -> None:
    """Two segments learned by DM equal one descent on the sum of both segments' losses."""
    config = DMConfig(steps=3, lr=0.5, momentum=0.5, batch_real=4)
    task = in_setting("segments-2")
    learned = DM(config).distill(task)
    assert isinstance(learned, DenseSet)
    clips = task.clips(torch.cat(random_choice(task))).requires_grad_(True)
    optimiser = torch.optim.SGD([clips], lr=0.5, momentum=0.5)
    half = dataclasses.replace(task.clip, frames=2)
    for step in range(3):
        network = task.network(task.rng("network", step), half)
        loss = torch.zeros(())
        for part in (slice(0, 2), slice(2, 4)):
            real = torch.stack([network.features(task.data[i : i + 4, :, part]).mean(0) for i in (0, 4)]).detach()
            loss = loss + dm_loss(real, network.features(clips[:, :, part]), torch.tensor([0, 1]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(learned.clips, clips.detach(), rtol=1e-4, atol=1e-4)
    whole = DM(config).distill(in_setting("dense")).tensors()["clips"]
    assert not torch.allclose(learned.clips, whole, atol=1e-2)


def test_one_segment_is_the_whole_clip() -> None:
    config = DMConfig(steps=2, lr=0.5, batch_real=4)
    one = DM(config).distill(in_setting("n4-r4-k1-nearest")).tensors()["clips"]
    assert torch.equal(one, DM(config).distill(in_setting("dense")).tensors()["clips"])


def test_a_segment_task_shows_its_part_of_the_same_clips() -> None:
    task = in_setting("n2-r4-k2-nearest")
    for number in range(2):
        part = SegmentTask(task, number, [])
        frames = slice(2 * number, 2 * number + 2)
        assert part.clip.dims() == (3, 2, 16, 16)
        assert part.setting == TemporalSetting(1, 2, 1, "nearest")
        assert torch.equal(
            part.real(1, 3, generator("same")), task.real(1, 3, generator("same"))[:, :, frames]
        )  # fmt: skip
        assert torch.equal(part.pixels(torch.arange(3)), task.pixels(torch.arange(3))[:, :, frames])
        single = FrameTask(part, 1).clips(torch.tensor([2 * 3 + 1]))
        assert torch.equal(single[:, :, 0], task.data[3:4, :, 2 * number + 1])


class Interrupted(Exception):
    """The power went out."""


class Keeping(FakeTask):
    """A task with a checkpoint after every step, that stops after some."""

    def __init__(self, setting: str) -> None:
        super().__init__(classes=2, per_class=4, ipc=1)
        self.setting = temporal.parse(setting, 4)
        self.kept: tuple[int, dict[str, torch.Tensor]] | None = None
        self.left = -1

    def checkpoint(self, step, state):  # type: ignore[no-untyped-def]
        self.kept = step, {name: value.clone() for name, value in state().items()}
        self.left -= 1
        if self.left == 0:
            raise Interrupted

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        return None if self.kept is None else (self.kept[0], dict(self.kept[1]))


@pytest.mark.parametrize("setting", ["segments-2", "n2-r4-k2-nearest", "keyframes-adaptive"])
@pytest.mark.parametrize("stop", [1, 4, 5, 6, 9])
def test_a_broken_run_goes_on_in_its_segment(setting: str, stop: int) -> None:
    config = DMConfig(steps=10 if setting == "keyframes-adaptive" else 5, lr=0.5, batch_real=4)
    whole = DM(config).distill(Keeping(setting)).tensors()
    task = Keeping(setting)
    task.left = stop
    with pytest.raises(Interrupted):
        DM(config).distill(task)
    again = DM(config).distill(task).tensors()
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


# ----------------------------------------------------------------------------------------------------------------------
# Adaptive key frames


def test_neighbours_are_the_stored_frames_around() -> None:
    left, right, weight = neighbours(torch.tensor([[True, False, False, True, False, True]]))
    assert left.tolist() == [[0, 0, 0, 3, 3, 5]]
    assert right.tolist() == [[0, 3, 3, 3, 5, 5]]
    torch.testing.assert_close(weight, torch.tensor([[0, 1 / 3, 2 / 3, 0, 0.5, 0]]))


def test_opposition_is_the_larger_cosine_to_the_neighbours() -> None:
    gradient = torch.zeros(1, 2, 4, 1, 1)
    gradient[0, :, :, 0, 0] = torch.tensor([[1.0, -1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 1.0]])
    found = opposition(gradient, torch.tensor([[True, False, False, True]]))
    diagonal = 0.5**0.5
    torch.testing.assert_close(found, torch.tensor([[1.0, -diagonal, diagonal, 1.0]]))


def growing(updates: int = 100) -> GrowingSet:
    return GrowingSet(torch.randn(2, 3, 5, 4, 4, generator=generator("growing")), torch.tensor([0, 1]), updates)


def test_it_starts_as_a_straight_line_between_first_and_last() -> None:
    clips = growing()
    shown = clips.render(torch.tensor([1, 0]), generator("r"))
    ends = clips.clips[[1, 0]]
    torch.testing.assert_close(shown, expand(ends[:, :, [0, 4]], 5, "linear"))


def descend(clips: GrowingSet, gradient: torch.Tensor, updates: int) -> None:
    clips.clips.requires_grad_(True)
    for _ in range(updates):
        (clips.render(torch.arange(2), generator("r")) * gradient).sum().backward()
        clips.updated()
    clips.clips.requires_grad_(False)


def test_a_frame_is_inserted_where_it_opposes_both_neighbours_after_the_warm_up() -> None:
    clips = growing()
    gradient = torch.ones(2, 3, 5, 4, 4)
    gradient[0, :, 2] = -1  # of the first clip only
    descend(clips, gradient, 24)
    assert clips.finished().stored_at.tolist() == [[1, 0, 0, 0, 1]] * 2
    before = clips.render(torch.arange(2), generator("r")).detach()
    descend(clips, gradient, 1)
    stored = clips.finished().stored_at.tolist()
    assert stored == [[1, 0, 1, 0, 1], [1, 0, 0, 0, 1]]
    # What is shown does not jump: the new frame starts as it was interpolated.
    torch.testing.assert_close(clips.render(torch.arange(2), generator("r")), before)
    descend(clips, gradient, 75)
    assert clips.finished().stored_at.tolist() == stored  # the neighbours now agree


def test_nothing_is_inserted_in_the_cool_down() -> None:
    clips = growing()
    descend(clips, torch.ones(2, 3, 5, 4, 4), 81)
    gradient = torch.ones(2, 3, 5, 4, 4)
    gradient[:, :, 1] = -100
    descend(clips, gradient, 19)
    assert clips.finished().stored_at.sum() == 4


def test_what_ends_stored_renders_as_it_did_and_counts_its_own_bytes() -> None:
    clips = growing()
    gradient = torch.randn(2, 3, 5, 4, 4, generator=generator("gradient"))
    descend(clips, gradient, 100)
    stored = clips.finished()
    assert 4 < len(stored.frames) <= 10
    for order in ([0, 1], [1], [1, 0]):
        index = torch.tensor(order)
        torch.testing.assert_close(stored.render(index, generator("r")), clips.render(index, generator("r")))
    sizes = {name: tensor.numel() * tensor.itemsize for name, tensor in stored.stored().items()}
    assert sizes == {"frames": len(stored.frames) * 3 * 4 * 4 * 4, "stored_at": 10}


def test_learning_moves_only_stored_frames_and_every_objective_may_grow() -> None:
    task = in_setting("keyframes-adaptive")
    seen: list[GrowingSet] = []

    def learn(task: Task, synthetic: SyntheticSet) -> None:
        assert isinstance(synthetic, GrowingSet)
        seen.append(synthetic)
        DM(DMConfig(10, 0.0, 4)).match(task, synthetic, {"clips": 0.5})

    learned = learn_in_time(task, learn, 10)
    assert isinstance(learned, AdaptiveSet)
    start = real_initialisation(task).tensors()["clips"]
    kept = learned.stored_at.bool()
    moved = (seen[0].clips != start).any(dim=1).flatten(2).any(dim=2)
    assert bool((moved <= kept).all())
    assert bool(moved[:, [0, -1]].all())


@pytest.mark.parametrize("setting", ["dense", "keyframes-2", "keyframes-adaptive"])
def test_learned_labels_and_rates_are_stored_and_counted_in_every_setting(setting: str) -> None:
    """A set that grew while it was learned hands on its rate and what its labels are."""
    task = in_setting(setting)
    sizes = {"steps": 1, "experts": 1, "max_start_epoch": 1, "syn_steps": 1, "expert_batch": 4}
    learned = MTT(MTTConfig(**sizes, labels="soft")).distill(task)
    stored = count_set(learned, None).tensors
    assert (stored["rate"].bytes, stored["labels"].bytes) == (4, 2 * 2 * 4)
    assert learned.label_loss == "cross-entropy"
    regressed = FRePo(FRePoConfig(steps=1, batch_real=4, pool=1)).distill(task)
    assert count_set(regressed, None).tensors["labels"].bytes == 2 * 2 * 4
    assert regressed.label_loss == "squared"
