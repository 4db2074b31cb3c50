"""Static + dynamic memories: the render against a convolution written out, the pairing, the bytes, the two stages."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from bench.methods._memory import MemoryConfig, memory
from bench.methods._stage_one import StaticConfig, static_memory, unlearned_memory
from bench.methods.dc import DC, DCConfig
from bench.methods.dm import dm_loss
from bench.methods.dsa import DSA
from bench.methods.static_dynamic import DMSD, DMDynamicOnly, DMNoHallucinator, DMSDConfig, FRePoSD, StaticOnly

from bench.api import ClipShape, Method, Workload
from bench.core import temporal
from bench.core.rng import generator
from bench.distill.real_start import real_initialisation
from bench.distill.single_frames import FrameTask
from bench.running.cell.costs import count_set
from bench.sets.static_dynamic import Mode, StaticDynamicSet
from tests.oracle.fake_task import FakeTask

QUICK = {"static_steps": 2, "static_batch": 4}


def written_out(both: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A 3x3x3 convolution of ``(C, T, H, W)`` with zeros outside, as sums over its 27 offsets."""
    _, frames, height, width = both.shape
    padded = torch.zeros(both.shape[0], frames + 2, height + 2, width + 2, dtype=both.dtype)
    padded[:, 1:-1, 1:-1, 1:-1] = both
    out = bias[:, None, None, None].expand(-1, frames, height, width).clone()
    for dt in range(3):
        for dy in range(3):
            for dx in range(3):
                window = padded[:, dt : dt + frames, dy : dy + height, dx : dx + width]
                out += torch.einsum("oc,cthw->othw", weight[:, :, dt, dy, dx], window)
    return out


@pytest.mark.parametrize("mode", ["concat", "add"])
def test_a_clip_is_the_hallucinators_convolution(mode: Mode) -> None:
    rng = generator("memory")
    static = torch.randn(1, 1, 3, 6, 5, generator=rng).double()
    dynamic = torch.randn(1, 1, 1, 4, 6, 5, generator=rng).double()
    channels = 4 if mode == "concat" else 3
    weight, bias = torch.randn(3, channels, 3, 3, 3, generator=rng).double(), torch.randn(3, generator=rng).double()
    clips = StaticDynamicSet(torch.tensor([0]), 4, mode, static, dynamic, (weight, bias))
    repeated = static[0, 0][:, None].repeat(1, 4, 1, 1)
    both = torch.cat([repeated, dynamic[0, 0]]) if mode == "concat" else repeated + dynamic[0, 0]
    found = clips.render(torch.tensor([0]), generator("render"))
    torch.testing.assert_close(found[0], written_out(both, weight, bias), rtol=1e-9, atol=1e-9)


def test_each_clip_draws_from_its_own_memories_and_all_pairs_occur() -> None:
    static = torch.arange(6.0).view(3, 2, 1, 1, 1).expand(3, 2, 3, 2, 2)  # clip n owns images 2n and 2n + 1
    dynamic = (100 * (1 + torch.arange(6.0))).view(3, 2, 1, 1, 1, 1).expand(3, 2, 1, 4, 2, 2)
    clips = StaticDynamicSet(torch.tensor([0, 1, 1]), 4, "add", static, dynamic)
    rng, seen = generator("pairs"), set()
    for _ in range(200):
        seen.add(float(clips.render(torch.tensor([1]), rng)[0, 0, 0, 0, 0]))
    assert seen == {302.0, 303.0, 402.0, 403.0}
    drawn = clips.render(torch.tensor([2, 0]), generator("one"))[:, 0, 0, 0, 0].tolist()
    assert drawn[0] in {504.0, 505.0, 604.0, 605.0}
    assert drawn[1] in {100.0, 101.0, 200.0, 201.0}


def test_two_clips_of_one_batch_draw_independently() -> None:
    static = torch.arange(2.0).view(1, 2, 1, 1, 1).expand(1, 2, 3, 2, 2)
    clips = StaticDynamicSet(torch.tensor([0]), 4, static=static)
    drawn = clips.render(torch.zeros(400, dtype=torch.int64), generator("batch"))[:, 0, 0, 0, 0]
    assert 0.4 < drawn.mean().item() < 0.6


MINIUCF, HMDB51, K400 = (
    (50, ClipShape(3, 16, 112, 112)),
    (51, ClipShape(3, 16, 112, 112)),
    (400, ClipShape(3, 8, 64, 64)),
)
TABLE = [  # FACTS: storage by arithmetic, MiB to the digit printed there
    (MINIUCF, 1, 90.9), (HMDB51, 1, 92.7), (K400, 1, 137.5), (MINIUCF, 5, 454.6), (HMDB51, 5, 463.7), (K400, 5, 687.5),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "ipc", "mebibytes"), TABLE)
def test_bytes_are_those_of_the_published_arithmetic(
    dataset: tuple[int, ClipShape], ipc: int, mebibytes: float
) -> None:
    work = Workload(dataset[0], 10000, ipc, dataset[1], temporal.dense(dataset[1].frames))
    assert DMSD(DMSDConfig()).stored_bytes(work) / 2**20 == pytest.approx(mebibytes, abs=0.05)


def test_bytes_to_the_last_one() -> None:
    work = Workload(50, 4662, 1, ClipShape(3, 16, 112, 112), temporal.dense(16))
    assert DMSD(DMSDConfig()).stored_bytes(work) == 95_335_708
    labels = 4 * 50 * 50
    assert (FRePoSD(FRePoSD.Config()).stored_bytes(work) - labels) / 2**20 == pytest.approx(45.5, abs=0.05)


@pytest.mark.parametrize(
    ("method", "tensors"),
    [
        (DMSD, {"static", "dynamic", "hallucinator.weight", "hallucinator.bias"}),
        (StaticOnly, {"static"}),
        (DMDynamicOnly, {"dynamic", "hallucinator.weight", "hallucinator.bias"}),
        (DMNoHallucinator, {"static", "dynamic"}),
    ],
)
def test_ablations_store_what_their_names_say_and_no_byte_more(method: type[Method], tensors: set[str]) -> None:
    task = FakeTask(classes=2, per_class=4, ipc=2)
    fields = {field.name for field in dataclasses.fields(method.Config)}
    values = {"steps": 1, "batch_real": 4, **QUICK}
    config = method.Config(**{name: value for name, value in values.items() if name in fields})
    report = count_set(method(config).distill(task), None)
    assert set(report.tensors) == tensors
    work = Workload(2, 8, 2, task.clip, task.setting)
    assert report.storage_bytes == method(config).stored_bytes(work)


def test_stage_one_is_dc_on_single_frames_with_the_image_network() -> None:
    """Stage one by itself against algorithm 1 on images written out: one network, one matching."""
    task = FakeTask(classes=2, per_class=4, ipc=1)
    frames = FrameTask(task, 2)
    learned = real_initialisation(frames)
    DC(DCConfig(steps=1, batch_real=5)).match(frames, learned, {"clips": 0.5})
    images = real_initialisation(frames).clips.clone().requires_grad_(True)
    assert images.shape == (4, 3, 1, 16, 16)
    network = task.frame_network(task.rng("frames network", 0))
    rng, loss = task.rng("frames real", 0), torch.zeros(())
    for label in range(2):
        index = torch.arange(label * 16, label * 16 + 16)[torch.randperm(16, generator=rng)[:5]]
        torch.randint(1, (5,), generator=rng)
        real = torch.stack([task.data[i // 4, :, i % 4][:, None] for i in index.tolist()])
        own = images[2 * label : 2 * label + 2]
        losses = (
            torch.nn.functional.cross_entropy(network(clips), torch.full((len(clips),), label)) for clips in (real, own)
        )
        a, b = (torch.autograd.grad(each, list(network.parameters()), create_graph=True) for each in losses)
        for x, y in zip(a, b, strict=True):
            if x.dim() > 1:
                loss = loss + (1 - torch.cosine_similarity(x.detach().flatten(1), y.flatten(1), dim=1)).sum()
    loss.backward()
    assert images.grad is not None
    torch.testing.assert_close(learned.clips, (images - 0.5 * images.grad).detach(), rtol=1e-3, atol=1e-4)
    assert float(images.grad.abs().max()) > 1e-4


def test_the_static_memory_belongs_to_the_class_of_its_clip() -> None:
    task = FakeTask(classes=2, per_class=4, ipc=2)
    static = unlearned_memory(task, StaticConfig())
    assert static.shape == (4, 2, 3, 16, 16)
    everything = task.data.transpose(1, 2)  # (clips, T, 3, H, W)
    for n in range(4):
        for image in static[n]:
            clip = ((everything - image) == 0).all(dim=(2, 3, 4)).any(dim=1).nonzero().flatten().tolist()
            assert len(clip) == 1
            assert clip[0] // 4 == n // 2


def test_frozen_static_memory_is_stage_ones_and_a_trainable_one_moves() -> None:
    task = FakeTask(classes=2, per_class=4, ipc=1)
    values = {"steps": 2, "batch_real": 4, "lr_dynamic": 1.0, "lr_hallucinator": 1e-3, **QUICK}
    start = static_memory(task, StaticConfig(**QUICK))
    frozen = DMSD(DMSDConfig(**values)).distill(task)
    moved = DMSD(DMSDConfig(**values, lr_static=1.0)).distill(task)
    assert torch.equal(frozen.tensors()["static"], start)
    assert not torch.equal(moved.tensors()["static"], start)


def test_stage_two_is_sgd_with_momentum_on_dms_loss() -> None:
    values = {"steps": 2, "batch_real": 4, "lr_dynamic": 2.0, "lr_hallucinator": 0.01, "momentum": 0.95, **QUICK}
    config = DMSDConfig(**values)
    task = FakeTask(classes=2, per_class=4, ipc=1)
    learned = DMSD(config).distill(task)
    copy = memory(task, config, static_memory(task, config))
    tensors = copy.tensors()
    names = ["dynamic", "hallucinator.weight", "hallucinator.bias"]
    velocity = {name: torch.zeros_like(tensors[name]) for name in names}
    for step in range(2):
        network = task.network(task.rng("network", step))
        real = torch.stack([network.features(task.data[:4]).mean(0), network.features(task.data[4:]).mean(0)]).detach()
        for name in names:
            tensors[name].requires_grad_(True)
        clips = copy.render(torch.arange(2), task.rng("render", step))
        found = torch.autograd.grad(
            dm_loss(real, network.features(clips), copy.labels), [tensors[name] for name in names]
        )
        for name, gradient in zip(names, found, strict=True):
            tensors[name].requires_grad_(False)
            velocity[name].mul_(0.95).add_(gradient)
            tensors[name].sub_(velocity[name], alpha=0.01 if "hall" in name else 2.0)
    for name in names:
        torch.testing.assert_close(learned.tensors()[name], tensors[name], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(learned.tensors()["dynamic"], memory(task, config, None).tensors()["dynamic"])


def test_an_identity_start_shows_the_still_image() -> None:
    task = FakeTask(classes=2, per_class=4, ipc=1)
    random, identity = (
        memory(task, MemoryConfig(start=start), unlearned_memory(task, StaticConfig()))
        for start in ("random", "identity")
    )
    a, b = (each.render(torch.arange(2), generator("r")) for each in (identity, random))
    image = identity.tensors()["static"]
    shown = (a - b)[0, :, 0]
    assert any(torch.allclose(shown, image[0, k], atol=1e-5) for k in range(2))


@pytest.mark.parametrize("method", [DC, DSA])
def test_on_frames_one_image_a_clip_is_stored(method: type[DC] | type[DSA]) -> None:
    task = FakeTask(classes=2, per_class=4, ipc=2)
    start, learned = (method(DCConfig(steps=n, batch_real=4, match="frames")).distill(task) for n in (0, 3))
    assert not torch.equal(start.tensors()["frames"], learned.tensors()["frames"])
    report = count_set(learned, None)
    assert report.storage_bytes == 4 * 4 * 3 * 16 * 16
    clips = learned.render(torch.arange(4), generator("r"))
    assert clips.shape == (4, 3, 4, 16, 16)
    assert torch.equal(clips[:, :, 0], clips[:, :, 3])


def test_memories_that_cannot_be_shared_out_are_refused() -> None:
    from bench.core.errors import BenchError

    with pytest.raises(BenchError, match="dpc=3 must be a multiple of IPC, 2"):
        memory(FakeTask(classes=2, per_class=4, ipc=2), MemoryConfig(dpc=3), None)
