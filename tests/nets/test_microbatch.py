"""How many clips a network is given at a time: as many as its pass has room for, by what it keeps of one."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.nets import microbatch
from bench.nets.builder import Builder
from bench.nets.convnet3d import ConvNet3D, SmallConvNet3D
from bench.nets.microbatch import PASS_BYTES, bytes_per_clip, clips_that_fit, room_on
from bench.running.cell.cell import run_cell

CPU = torch.device("cpu")
SHAPE = ClipShape(3, 4, 16, 16)


class Counted(Classifier):
    """What its pass keeps can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm3d(5)
        self.head = nn.Linear(5, 2)

    def features(self, clips):
        return torch.tanh(self.norm(self.conv(clips)))

    def embedding(self, clips):
        return self.features(clips).mean(dim=(2, 3, 4))

    def forward(self, clips):
        return self.head(self.embedding(clips))


def test_what_a_pass_keeps_is_counted_to_the_byte():
    values = 4 * 16 * 16
    clip, conv, tanh, embedding = 3 * values, 5 * values, 5 * values, 5
    statistics = 2 * 5 * 4  # mean and deviation of each channel: of the batch, so half of them of a clip
    assert bytes_per_clip(Counted(), SHAPE, CPU) == 4 * (clip + conv + tanh + embedding) + statistics // 2


def test_a_pass_keeps_in_proportion_to_the_frames():
    def kept(network, frames, side):
        clip = ClipShape(3, frames, side, side)
        return bytes_per_clip(network(7, clip, generator("network")), clip, CPU)

    assert kept(SmallConvNet3D, 16, 32) == pytest.approx(2 * kept(SmallConvNet3D, 8, 32), rel=0.01)
    assert kept(ConvNet3D, 16, 64) == pytest.approx(2 * kept(ConvNet3D, 8, 64), rel=0.05)


def test_a_pass_keeps_what_it_keeps_of_more_clips():
    network, clip = SmallConvNet3D(7, SHAPE, generator("network")), SHAPE
    held = set()

    def note(tensor):
        held.add((tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()))
        return tensor

    clips = torch.randn(12, *clip.dims())
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = network(clips)  # noqa: F841 (holds what was noted)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    taken = sum(size for place, size in held if place not in own)
    each = bytes_per_clip(SmallConvNet3D(7, SHAPE, generator("network")), clip, CPU)
    assert taken == pytest.approx(12 * each, rel=0.01)


def test_room_is_a_share_of_the_memory_that_there_is_not_of_what_is_free(monkeypatch):
    for total, room in ((8 << 30, 2 << 30), (1 << 40, PASS_BYTES)):
        found = SimpleNamespace(total=total, available=1)
        monkeypatch.setattr(microbatch.psutil, "virtual_memory", lambda found=found: found)
        assert room_on(CPU) == room
    assert [clips_that_fit(10, room) for room in (9, 10, 39, 40)] == [1, 1, 3, 4]


@pytest.mark.parametrize("method", ["dm", "herding"])
def test_a_cell_gives_its_networks_what_fits_and_says_so(plan, registries, context, reporter, monkeypatch, method):
    overrides = {"dm": {"steps": 2}}
    (planned,) = plan(method, ipcs=(2,), overrides=overrides) if method == "dm" else plan(method, ipcs=(2,))
    expected = run_cell(planned, registries, dataclasses.replace(context, out=context.out / "whole"), reporter)
    kind = registries.networks.get("convnet3d-small")
    build, seen = kind.build, []

    def built(self, classes, clip, rng):
        network = build(self, classes, clip, rng)
        maps = network._maps
        network._maps = lambda clips: seen.append(len(clips)) or maps(clips)
        return network

    monkeypatch.setattr(kind, "build", built)
    each = bytes_per_clip(build(kind(), 3, planned.geometry.shape(), generator("n")), planned.geometry.shape(), CPU)
    monkeypatch.setattr(microbatch, "PASS_BYTES", 3 * each)
    lines = []
    context = dataclasses.replace(context, cache=context.cache / "cut")
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert record.status == "ok"
    assert max(seen) == 3
    assert [line for line in lines if "at a time" in line] == [
        f"convnet3d-small: a pass keeps {each / 2**20:.0f} MiB of a clip, so 3 go through it at a time"
    ]
    for one, other in zip(record.evaluations, expected.evaluations, strict=True):
        assert one.confusion == other.confusion
        assert one.loss == pytest.approx(other.loss, rel=1e-3)


def test_what_fits_is_measured_once_for_each_kind_and_weights_stay_the_same(registries, monkeypatch):
    kind = registries.networks.get("convnet3d-small")()
    measured = []
    monkeypatch.setattr(
        "bench.nets.builder.bytes_per_clip", lambda *given: measured.append(given[1]) or bytes_per_clip(*given)
    )
    builder = Builder(CPU, "float32", most_clips=5)
    for use in ("distil", "judge", "distil"):
        network = builder.build(kind, 3, SHAPE, generator("network"), use)
        assert network.most_clips == 5
        plain = kind.build(3, SHAPE, generator("network"))
        for name, value in plain.state_dict().items():
            assert torch.equal(network.state_dict()[name], value)
    builder.build(kind, 3, ClipShape(3, 8, 16, 16), generator("network"), "distil")
    assert measured == [SHAPE, ClipShape(3, 8, 16, 16)]
