"""A training that is interrupted at any update and resumed ends with the same bits as an unbroken one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import bench.running.cell.checkpoints
import bench.running.cell.task
from bench.api import Checkpoints, Clips, Recipe, SyntheticSet
from bench.core.classifier import Classifier
from bench.core.errors import OutOfTime
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.core.signals import Stopped
from bench.judging import training
from bench.judging.protocols import wang2024 as protocol_wang2024
from bench.judging.protocols.standard import Quick
from bench.judging.protocols.wang2024 import Wang2024
from bench.judging.snapshots import generators
from bench.nets.layers import SeededDropout
from bench.results.artefacts import load_tensors, save_tensors
from bench.running.cell.cell import run_cell
from bench.running.cell.checkpoints import FileCheckpoints

CPU = torch.device("cpu")
QUIET = Reporter(lambda *_: None, lambda _: None)
SHAPE = (3, 2, 4, 4)


class Stop(Stopped):
    """The power went out."""


class Noisy(Classifier):
    """A convolution, a batch norm with running statistics and dropout: weights, buffers and draws to be kept."""

    def __init__(self, rng):
        super().__init__()
        self.convolution = torch.nn.Conv3d(3, 5, 3, padding=1)
        self.norm = torch.nn.BatchNorm3d(5)
        self.dropout = SeededDropout(0.3, rng)
        self.again = SeededDropout(0.1, rng)
        self.head = torch.nn.Linear(5 * 32, 3)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -0.3, 0.3, generator=rng)

    def features(self, clips):
        return self.dropout(torch.relu(self.norm(self.convolution(clips))).flatten(1))

    def embedding(self, clips):
        return self.features(clips)

    def forward(self, clips):
        return self.head(self.again(self.features(clips)))


class Flickering(SyntheticSet):
    """Clips that are rendered with fresh noise; renders ``lasts`` batches, then the power goes out."""

    name = "flickering"

    def __init__(self, squared=False, lasts=10**9):
        self.clips = torch.randn(7, *SHAPE, generator=generator("clips"))
        self.labels = torch.randn(7, 3, generator=generator("labels")) if squared else torch.arange(7) % 3
        self.label_loss = "squared" if squared else "cross-entropy"
        self.lasts = lasts
        self.rendered = 0

    @classmethod
    def restore(cls, tensors, labels, options):
        raise NotImplementedError

    def tensors(self):
        return {"clips": self.clips}

    def render(self, index, rng):
        if self.rendered == self.lasts:
            raise Stop
        self.rendered += 1
        return self.clips[index] + 0.1 * torch.randn(len(index), *SHAPE, generator=rng)


class Real(Clips):
    """Test clips."""

    def __init__(self):
        self.pixels = torch.randn(40, *SHAPE, generator=generator("test"))
        self.labels = torch.arange(40) % 3

    def views(self):
        return 1

    def batch(self, index, view):
        return self.pixels[index]


def judged(protocol, synthetic, saved=None):
    """The evaluation and the trained network."""
    built = []

    def build(rng):
        built.append(Noisy(rng))
        return built[0]

    told = []
    outcome = protocol().evaluate(
        synthetic, Real(), 3, build, 1, lambda *step: told.append(step), {"same": Real()}, saved
    )
    return outcome, built[0].state_dict(), told


@pytest.fixture
def protocols(monkeypatch):
    """Short ones: two batches an epoch, five epochs; the cut and the end of the warm-up within them."""
    recipe = Recipe(epochs=5, batch=4, lr=0.05, max_updates=9)
    for name, value in {"EPOCHS": 5, "CUT": 3, "SQUARED_EPOCHS": 5, "SQUARED_WARMUP": 2, "SQUARED_LR": 0.01}.items():
        monkeypatch.setattr(protocol_wang2024, name, value)
    monkeypatch.setattr(Wang2024, "recipe", recipe)
    monkeypatch.setattr(Quick, "recipe", recipe)
    return {"quick": Quick, "wang2024": Wang2024}


@pytest.mark.parametrize("name", ["quick", "wang2024"])
@pytest.mark.parametrize("squared", [False, True], ids=["hard", "squared"])
@pytest.mark.parametrize("lasts", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_training_cut_anywhere_goes_on_to_the_same_bits(tmp_path, protocols, name, squared, lasts):
    expected, weights, told = judged(protocols[name], Flickering(squared))
    path = tmp_path / "training.safetensors"

    def saved():
        return FileCheckpoints(path, "me", CPU, QUIET, 0.0, dict)

    with pytest.raises(Stop):
        judged(protocols[name], Flickering(squared, lasts), saved())
    assert load_tensors(path)[1] == {"cell": "me", "step": lasts}
    again = Flickering(squared)
    outcome, resumed, later = judged(protocols[name], again, saved())
    assert again.rendered == {"quick": 9, "wang2024": 10}[name] - lasts + 1  # one batch for the training accuracy
    assert outcome == expected
    assert all(torch.equal(resumed[key], weights[key]) for key in weights)
    assert later == told[-len(later) :]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_training_cut_many_times_goes_on_to_the_same_bits(tmp_path, protocols):
    expected, weights, _ = judged(Wang2024, Flickering())
    cuts = 0
    while True:
        saved = FileCheckpoints(tmp_path / "x", "me", CPU, QUIET, 0.0, dict)
        try:
            outcome, resumed, _ = judged(Wang2024, Flickering(lasts=2 + (cuts == 4)), saved)
            break
        except Stop:
            cuts += 1
    assert cuts == 4
    assert outcome == expected
    assert all(torch.equal(resumed[key], weights[key]) for key in weights)


def test_draws_weights_and_momentum_all_matter(tmp_path, protocols):
    """What is kept is needed: with any part of it from elsewhere the resumed training ends otherwise."""
    expected, weights, _ = judged(Quick, Flickering())

    class Altered(Checkpoints):
        def __init__(self, kept, part):
            self.kept, self.part = kept, part

        def checkpoint(self, step, state):
            pass

        def resume(self):
            step, state = self.kept
            return step, {name: value for name, value in state.items() if not name.startswith(self.part)}

    with pytest.raises(Stop):
        judged(Quick, Flickering(lasts=5), FileCheckpoints(tmp_path / "x", "me", CPU, QUIET, 0.0, dict))
    kept = FileCheckpoints(tmp_path / "x", "me", CPU, QUIET, 0.0, dict).resume()
    names = set(kept[1])
    assert {"draws.0", "draws.1", "draws.2", "optimiser.0.momentum_buffer", "network.norm.running_mean"} <= names
    assert "draws.3" not in names  # two layers, one generator
    whole, resumed, _ = judged(Quick, Flickering(), Altered(kept, "nothing"))
    assert whole == expected
    _, without, _ = judged(Quick, Flickering(), Altered(kept, "optimiser"))
    assert not torch.equal(without["head.weight"], weights["head.weight"])
    for number in range(3):
        other = dict(kept[1]) | {f"draws.{number}": generator("other").get_state()}
        _, without, _ = judged(Quick, Flickering(), Altered((kept[0], other), "nothing"))
        assert not torch.equal(without["head.weight"], weights["head.weight"]), number
    assert torch.equal(resumed["head.weight"], weights["head.weight"])


def test_the_generators_of_a_network_are_found_once():
    rng = generator("a")
    assert generators(Noisy(rng)) == [rng]
    assert generators(torch.nn.Linear(1, 1)) == []


def test_states_of_others_and_damaged_ones_are_not_resumed_from(tmp_path):
    path, lines = tmp_path / "x", []
    reporter = Reporter(lambda *_: None, lines.append)

    def saved(owner, every=0.0):
        return FileCheckpoints(path, owner, CPU, reporter, every, lambda: {"note": 1})

    assert saved("me").resume() is None
    saved("me", every=1e9).checkpoint(3, lambda: {"a": torch.ones(2)})
    assert not path.exists()  # not due yet
    saved("me").checkpoint(3, lambda: {"a": torch.ones(2)})
    assert saved("you").resume() is None
    step, state = saved("me").resume()
    assert (step, state["a"].tolist()) == (3, [1, 1])
    assert lines == []
    path.write_bytes(path.read_bytes()[:-1])
    assert saved("me").resume() is None
    assert lines == [f"{path} is damaged, now x.damaged; what it held is done again"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.damaged"]


# ----------------------------------------------------------------------------------------------------------------------
# In cells


@pytest.mark.parametrize("phase", ["evaluate", "probe"])
@pytest.mark.parametrize("at", [2, 6, 7, 10])
def test_a_cell_cut_within_a_training_repeats_no_update(plan, registries, context, reporter, monkeypatch, phase, at):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (planned,) = plan("tiny-walk")
    expected = run_cell(planned, registries, dataclasses.replace(context, out=context.out / "whole"), reporter)

    def stop(now, step, total, loss):
        if (now, step) == (phase, at):
            raise Stop

    with pytest.raises(Stop):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    kept = [path.name for path in (context.out / "checkpoints").rglob("training*")]
    assert kept == ["training.safetensors"]
    seen = []
    record = run_cell(
        planned, registries, context, Reporter(lambda now, step, *_: seen.append((now, step)), lambda _: None)
    )
    # It is told again of the update that it was told of when the power went out.
    assert seen[0] == (phase, at)
    assert (record.status, record.evaluations, record.motion) == ("ok", expected.evaluations, expected.motion)
    assert (record.history, record.set, record.data) == (expected.history, expected.set, expected.data)
    assert not (context.out / "checkpoints" / record.id).exists()


def test_when_the_time_is_up_the_state_is_kept_first(tmp_path):
    late = Reporter(lambda *_: None, lambda _: None, deadline=0.0)
    with pytest.raises(OutOfTime):
        FileCheckpoints(tmp_path / "x", "me", CPU, late, 1e9, dict).checkpoint(2, lambda: {"a": torch.ones(1)})
    assert load_tensors(tmp_path / "x")[1] == {"cell": "me", "step": 2}


def test_the_cost_of_an_interrupted_training_is_charged(plan, registries, context, monkeypatch):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (planned,) = plan("tiny-walk")

    def stop(phase, step, total, loss):
        if (phase, step) == ("evaluate", 8):
            raise Stop

    with pytest.raises(Stop):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    (path,) = (context.out / "checkpoints").rglob("training.safetensors")
    tensors, meta = load_tensors(path)
    assert (meta["step"], meta["cost"]["wall_seconds"] > 0) == (2, True)
    save_tensors(path, tensors, {**meta, "cost": {**meta["cost"], "wall_seconds": 1000.0}})
    record = run_cell(planned, registries, context, QUIET)
    assert 1000 < record.costs["evaluate"].wall_seconds < 1100
    assert record.costs["probe"].wall_seconds < 100


def test_a_damaged_training_is_named_and_starts_again(plan, registries, context, reporter, monkeypatch):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (planned,) = plan("tiny-walk")
    expected = run_cell(planned, registries, dataclasses.replace(context, out=context.out / "whole"), reporter)

    def stop(phase, step, total, loss):
        if (phase, step) == ("evaluate", 10):
            raise Stop

    with pytest.raises(Stop):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    (path,) = (context.out / "checkpoints").rglob("training.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    seen, lines = [], []
    record = run_cell(planned, registries, context, Reporter(lambda phase, step, *_: seen.append(step), lines.append))
    assert seen[0] == 7
    assert lines == [f"{path} is damaged, now training.safetensors.damaged; what it held is done again"]
    assert record.evaluations == expected.evaluations


def test_the_network_that_coresets_are_chosen_with_goes_on_within_its_training(
    plan, registries, context, reporter, monkeypatch
):
    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(
        bench.running.cell.task, "shortened", lambda recipe: recipe
    )  # six updates, so that it can stop amid them
    (planned,) = plan("herding")
    expected = run_cell(planned, registries, dataclasses.replace(context, cache=context.cache / "other"), reporter)
    seen = []

    def stop(phase, step, total, loss):
        if phase == "upstream":
            seen.append(step)
            if seen == [1, 2, 3, 4]:
                raise Stop

    with pytest.raises(Stop):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    record = run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    assert seen == [1, 2, 3, 4, 4, 5, 6]
    assert record.evaluations == expected.evaluations
    assert not list(context.cache.rglob("*partial*"))


def test_the_network_that_coresets_are_chosen_with_trains_for_less_than_one_that_is_judged():
    recipe = bench.running.cell.task.shortened(Quick.recipe)
    assert (recipe.updates(64), recipe.updates(6400), recipe.lr) == (20, 200, 0.03)
    assert bench.running.cell.task.shortened(Wang2024.recipe).updates(257) == 40


def test_testing_between_updates_does_not_leave_the_network_in_evaluation():
    network = Noisy(generator("n"))
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    modes = []

    def before(update):
        modes.append(network.training)

    course = training.Course(4, 4, optimiser, before, torch.nn.functional.cross_entropy)
    for _ in training.updates(network, Flickering(), course, generator("o"), generator("r")):
        network.eval()
    assert modes == [True] * 4
