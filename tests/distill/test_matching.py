"""What the base of matching methods carries: real sides in blocks of steps, the loop, memories learned by any objective."""

from __future__ import annotations

import pickle

import pytest
import torch
from bench.methods import static_dynamic
from bench.methods.dm import RealMeans

from bench import plugins
from bench.api import Artefact, Task, Upstream
from bench.distill.learner import Learner
from bench.distill.matching import PerStep
from bench.distill.real_start import real_initialisation
from bench.distill.segments import SegmentTask
from bench.distill.single_frames import FrameTask
from tests.distill.test_taxonomy import Interrupted, Keeping, in_setting
from tests.oracle.fake_task import FakeTask


class Numbers(PerStep):
    """A step's tensor is its number, of each class."""

    name = "numbers"
    most = 4

    def of_step(self, task: Task, step: int) -> torch.Tensor:
        return torch.full((len(task.classes), 2), step)


@pytest.mark.parametrize(("steps", "parts"), [(0, 0), (1, 1), (4, 1), (5, 2), (9, 3)])
def test_each_step_finds_its_own_tensor_in_the_blocks(steps: int, parts: int) -> None:
    task = FakeTask(classes=3, per_class=2, ipc=1)
    numbers = Numbers(task, steps, 2)
    assert numbers.parts == parts
    row = numbers.shared(task)
    for step in range(steps):
        assert torch.equal(row(step), torch.full((3, 2), step))


def test_more_steps_are_the_same_artefact_and_a_part_has_the_bytes_of_its_features() -> None:
    task = FakeTask(classes=3, per_class=2, ipc=1)
    assert Numbers(task, 4, 2).key() == Numbers(task, 30, 2).key() != Numbers(task, 4, 5).key()
    few = Numbers(task, 3, 2)
    assert (few.parts, few.block) == (1, 3)  # no more than they need
    assert few.key() != Numbers(task, 4, 2).key()
    features = task.network(task.rng("any")).features(task.clips(torch.tensor([0])))
    assert Numbers(task, 9, 2).part_bytes == 4 * 3 * features.numel() * 4


class Reporting(Keeping):
    """Remembers what was reported."""

    def __init__(self) -> None:
        super().__init__("dense")
        self.reports: list[tuple[int, int, float]] = []

    def progress(self, step, total, **metrics):  # type: ignore[no-untyped-def]
        self.reports.append((step, total, float(metrics["loss"])))


def test_the_loop_reports_every_step_and_goes_on_where_it_stopped() -> None:
    def learn(task: Reporting) -> torch.Tensor:
        synthetic = real_initialisation(task)
        learner = Learner(synthetic, {"clips": 0.1}, momentum=0.9)
        for step in learner.steps(task, 4, updates=2):
            for _ in range(2):
                clips = learner.render(torch.arange(2), task.rng("render", step))
                learner.update((clips - step).square().sum())
        return synthetic.clips

    unbroken, broken = Reporting(), Reporting()
    clips = learn(unbroken)
    assert [report[:2] for report in unbroken.reports] == [(2, 8), (4, 8), (6, 8), (8, 8)]
    broken.left = 3
    with pytest.raises(Interrupted):
        learn(broken)
    assert torch.equal(learn(broken), clips)
    assert broken.reports == unbroken.reports


@pytest.mark.parametrize("name", ["dm+sd", "dc+sd", "mtt+sd", "frepo+sd", "dm+dynamic-only", "dm+no-hallucinator"])
def test_what_learns_memories_is_a_class_of_its_module(name: str) -> None:
    method = plugins.load().methods.get(name)
    assert getattr(static_dynamic, method.__name__) is method
    assert pickle.loads(pickle.dumps(method)) is method


class Named(FakeTask):
    """Remembers the names and keys of artefacts that it is asked for."""

    def upstream(self, what: Upstream) -> Artefact:
        self.asked = what.name, dict(what.key()), what.of_frames
        return super().upstream(what)


def test_an_artefact_made_through_a_view_says_which() -> None:
    task = Named(classes=2, per_class=2, ipc=1)
    task.setting = in_setting("segments-2").setting
    SegmentTask(task, 1, []).upstream(RealMeans(task, RealMeans.most, 3))
    assert task.asked == ("real-means-of-segment-2", {"batch_real": 3, "version": 2, "segment": 1, "of": 2}, False)
    FrameTask(task, 1).upstream(RealMeans(task, RealMeans.most, 3))
    assert task.asked == ("real-means-of-frames", {"batch_real": 3, "version": 2}, True)


def test_a_view_has_neither_the_full_data_nor_a_trained_network() -> None:
    frames = FrameTask(FakeTask(classes=2, per_class=2, ipc=1), 1)
    with pytest.raises(NotImplementedError, match="the full data are clips, not single frames"):
        frames.real_set()
    with pytest.raises(NotImplementedError, match="the trained network is one of clips, not of single frames"):
        frames.trained_network()
