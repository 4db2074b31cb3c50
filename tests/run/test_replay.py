"""Recorded passes: used where they pay and give the same, and only there; the machinery, with a recorder that needs no GPU."""

from __future__ import annotations

import functools
import json

import pytest
import torch

from bench.api import ClipShape
from bench.core.repeated_frames import hold
from bench.core.rng import generator
from bench.nets import replay
from bench.nets.described.convnets import ConvNet3DNetwork, SmallConvNet3DNetwork
from bench.nets.replay import CudaRecorder, Recorder, Replays
from bench.results.merge import facts
from bench.run.cell import run_cell
from bench.run.context import Context

CLIP = ClipShape(3, 4, 16, 16)


class Again(Recorder):
    """Does the work again on the recorded tensors, which is what a graph does, and puts it where the first went."""

    def __init__(self, spoil=0.0, fails=""):
        self.recorded = 0
        self.replayed = 0
        self.spoil = spoil
        self.fails = fails

    def name(self):
        return "a test"

    def record(self, work):
        if self.fails:
            raise RuntimeError(self.fails)
        self.recorded += 1
        found = work()

        def replayed():
            self.replayed += 1
            return found.copy_(work()).add_(self.spoil)

        return replayed

    def wait(self):
        pass


@pytest.fixture
def fast(monkeypatch):
    """Recordings are measured to be so many times as fast."""

    def measured(gain):
        seconds = iter([gain, 1.0] * 100)
        monkeypatch.setattr(replay, "_seconds", lambda recorder, work: next(seconds))

    measured(2.0)
    return measured


def network(seed=0, kind=SmallConvNet3DNetwork, clip=CLIP):
    return kind().build(3, clip, generator("network", seed))


def served(replays, seed=0, **kind):
    return replays.served(network(seed, **kind), "small", functools.partial(network, 99, **kind))


def clips(seed=0, count=2, clip=CLIP):
    return torch.randn(count, *clip.dims(), generator=generator("clips", seed))


def test_each_network_and_batch_has_its_own_results_from_one_recording(tmp_path, fast):
    recorder, said = Again(), []
    replays = Replays(recorder, tmp_path, said.append)
    found = []
    with torch.no_grad():
        for seed in range(3):
            found.append(served(replays, seed).features(clips(seed)))
        for seed, features in enumerate(found):  # kept after the next replay
            assert torch.equal(features, network(seed).features(clips(seed)))
    assert recorder.recorded == 1
    assert len(said) == 1
    assert said[0].endswith("float32 in strides [3072, 1024, 256, 16, 1]: replayed, 2.00 times as fast")


def test_all_three_passes_and_every_size_are_recorded_by_themselves(tmp_path, fast):
    recorder = Again()
    replays = Replays(recorder, tmp_path, lambda line: None)
    with torch.no_grad():
        for count in (1, 2, 1):
            ours, theirs = served(replays), network()
            assert torch.equal(ours(clips(count=count)), theirs(clips(count=count)))
            assert torch.equal(ours.embedding(clips(count=count)), theirs.embedding(clips(count=count)))
            assert torch.equal(ours.features(clips(count=count)), theirs.features(clips(count=count)))
    assert recorder.recorded == 6


def test_a_trained_network_is_replayed_with_its_new_weights(tmp_path, fast):
    replays = Replays(Again(), tmp_path, lambda line: None)
    ours = served(replays)
    with torch.no_grad():
        before = ours(clips())
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.1)
    ours(clips()).square().sum().backward()
    optimiser.step()
    with torch.no_grad():
        after = ours(clips())
    assert not torch.equal(before, after)
    assert torch.equal(after, ours.network(clips()).detach())


@pytest.mark.parametrize(
    ("recorder", "gain", "why"),
    [
        (Again(), 1.05, "not replayed, 1.05 times as fast"),
        (Again(spoil=1e-6), 2.0, "not replayed, its results differ"),
        (Again(fails="operation not permitted\nwhile capturing"), 2.0, "not replayed, it cannot be recorded (operation not permitted)"),
    ],
)  # fmt: skip
def test_passes_run_as_ever_where_a_recording_does_not_pay_or_differs_or_fails(tmp_path, fast, recorder, gain, why):
    fast(gain)
    said = []
    replays = Replays(recorder, tmp_path, said.append)
    with torch.no_grad():
        ours = served(replays)
        first = recorder.replayed
        assert torch.equal(ours(clips()), network()(clips()))
        assert torch.equal(ours(clips(1)), network()(clips(1)))
    assert recorder.replayed - first <= 1  # the comparison
    assert [line.partition(": ")[2] for line in said] == [why]


def test_what_was_measured_is_kept_for_other_processes(tmp_path, fast):
    fast(1.0)
    with torch.no_grad():
        served(Replays(Again(), tmp_path, lambda line: None))(clips())
        (kept,) = tmp_path.glob("*.json")
        assert json.loads(kept.read_text())["because"] == "1.00 times as fast"
        later = Again()
        served(Replays(later, tmp_path, pytest.fail))(clips())
        assert later.recorded == 0
        kept.write_text('{"replayed": "perhaps"}')
        served(Replays(later, tmp_path, lambda line: None))(clips())
        assert later.recorded == 1


def test_what_draws_or_follows_gradients_or_stands_still_is_not_recorded(tmp_path, fast):
    """Dropout would repeat its masks; a recording knows no gradient; clips that stand still are views of one frame."""
    recorder = Again()
    replays = Replays(recorder, tmp_path, lambda line: None)
    large = ClipShape(3, 8, 64, 64)
    dropping = served(replays, kind=ConvNet3DNetwork, clip=large).train()
    with torch.no_grad():
        dropping(clips(clip=large, count=1))
        served(replays)(hold(clips()[:, :, :1], 4))
    served(replays)(clips()).sum().backward()
    assert recorder.recorded == 0
    with torch.no_grad():
        dropping.eval()(clips(clip=large, count=1))
    assert recorder.recorded == 1


def test_a_whole_cell_has_the_same_record_with_recorded_passes(plan, registries, tmp_path, reporter, monkeypatch, fast):
    (planned,) = plan("dm", overrides={"dm": {"steps": 3, "batch_real": 2}})

    def run(name):
        record = run_cell(planned, registries, Context(tmp_path / name, tmp_path / name / "cache", "cpu", 1), reporter)
        assert record.status == "ok", record.reason
        return facts(record)

    plain = run("plain")
    recorder = Again()
    monkeypatch.setattr(
        "bench.run.cell.replays_on", lambda device, cache, log: Replays(recorder, cache / "passes", log)
    )
    assert run("replayed") == plain
    assert recorder.replayed > 10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_of_a_gpu_gives_what_the_pass_gives(tmp_path, fast):
    device = torch.device("cuda")
    replays = Replays(CudaRecorder(device), tmp_path, lambda line: None)
    with torch.no_grad():
        for seed in range(3):
            ours = replays.served(network(seed).to(device), "small", lambda: network(99).to(device))
            assert torch.equal(
                ours.features(clips(seed).to(device)), network(seed).to(device).features(clips(seed).to(device))
            )
    (kept,) = tmp_path.glob("*.json")
    assert json.loads(kept.read_text())["because"] == "2.00 times as fast"
