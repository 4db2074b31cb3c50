"""Clips read from the map, kept on a device, or read ahead are the same clips, to the bit, and nothing else is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.api import ClipRef, ClipShape, Recipe
from bench.core.rng import generator
from bench.data.clip_store import ClipStore
from bench.data.clip_table import ClipTable
from bench.data.pixels import SplitClips, copied, fits, gathered, normalise, picked
from bench.judging import training
from bench.judging.frozen import FrozenSet
from bench.judging.mirrored import MirroredSet
from bench.judging.probes import probed
from bench.judging.protocols.wang2024 import DrawnClips
from bench.nets.convnet3d import SmallConvNet3D
from bench.sets.real import RealSet

CPU = torch.device("cpu")
MUCH = 1 << 40


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """40 clips of 2 windows in a memory-mapped file; every third one is for testing."""
    path = tmp_path_factory.mktemp("store") / "clips.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (40, 2, 4, 16, 16, 3), np.uint8))
    refs = ClipTable(ClipRef(f"{i}", i % 3, "test" if i % 3 == 0 else "train", f"{i}") for i in range(40))
    return ClipStore(("a", "b", "c"), np.load(path, mmap_mode="r"), refs, (), "")


@pytest.mark.parametrize("framed", [False, True])
def test_gathered_and_picked_are_what_indexing_gives(store, framed):
    rng = np.random.default_rng(1)
    positions = store.positions("train")
    index, view = rng.integers(0, len(positions), 9), rng.integers(0, 2, 9)
    frame = rng.integers(0, 4, 9) if framed else None
    wanted = store.clips[positions[index], view]
    if frame is not None:
        wanted = wanted[np.arange(9), frame][:, None]
    arguments = (torch.from_numpy(view), None if frame is None else torch.from_numpy(frame))
    np.testing.assert_array_equal(gathered(store.clips, positions[index], *arguments, CPU).numpy(), wanted)
    kept = copied(store.clips, positions, CPU)
    np.testing.assert_array_equal(kept.numpy(), store.clips[positions])
    np.testing.assert_array_equal(picked(kept, torch.from_numpy(index), *arguments).numpy(), wanted)
    clips = SplitClips(store, "train", CPU).pixels(torch.from_numpy(index), *arguments)
    np.testing.assert_array_equal(clips.permute(0, 2, 3, 4, 1).numpy(), wanted)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_copying_block_by_block_changes_nothing(store, monkeypatch):
    monkeypatch.setattr("bench.data.pixels._BLOCK", 3 * store.clips[0].nbytes + 1)
    np.testing.assert_array_equal(copied(store.clips, np.arange(1, 12), CPU).numpy(), store.clips[1:12])


def test_only_the_windows_asked_for_are_read(monkeypatch):
    stored = np.zeros((1000, 3, 8, 4, 4, 3), np.uint8)
    read = []
    take = np.take

    def recorded(rows, row, **rest):
        assert np.shares_memory(rows, stored)  # no copy of what is stored
        read.append((rows.shape, row.tolist()))
        return take(rows, row, **rest)

    monkeypatch.setattr(np, "take", recorded)
    gathered(stored, np.array([900, 7]), torch.tensor([2, 0]), None, CPU)
    gathered(stored, np.array([5]), torch.tensor([1]), torch.tensor([6]), CPU)
    assert read == [((3000, 8 * 48), [2702, 21]), ((24000, 48), [5 * 24 + 8 + 6])]


@pytest.mark.parametrize(("position", "view", "frame"), [(40, 0, None), (3, 2, None), (3, -1, None), (3, 1, 4)])
def test_what_is_not_stored_is_refused(store, position, view, frame):
    with pytest.raises(ValueError, match="invalid entry in coordinates array"):
        gathered(
            store.clips,
            np.array([position]),
            torch.tensor([view]),
            None if frame is None else torch.tensor([frame]),
            CPU,
        )


def test_what_fits():
    assert fits(25, 100)
    assert not fits(26, 100)
    assert fits(26, 100, share=0.5)
    assert not fits(1, 0)
    assert fits(240_000 * 98_304, 96 << 30)  # Kinetics at 8x64x64 on a large GPU
    assert not fits(240_000 * 98_304, 80 << 30)


def test_clips_are_streamed_where_they_do_not_fit(store):
    needed = len(store.positions("train")) * store.clips[0].nbytes
    assert not SplitClips(store, "train", CPU, free=4 * needed).streamed()
    streamed = SplitClips(store, "train", CPU, free=4 * needed - 1)
    assert streamed.streamed()
    test = SplitClips(store, "test", CPU, free=0)
    altered = [
        test,
        MirroredSet(RealSet(test)),
        DrawnClips(test, generator("x")),
        *probed(test, 0).values(),
        RealSet(test),
        FrozenSet(RealSet(test)),
    ]
    assert all(clips.streamed() for clips in altered)
    assert not FrozenSet(RealSet(SplitClips(store, "test", CPU, free=MUCH))).streamed()


def weights(store, free, train):
    """What a training on real clips gives, and what the generators give after it."""
    data = RealSet(SplitClips(store, "train", CPU, free))
    network = SmallConvNet3D(3, ClipShape(3, 4, 16, 16), generator("network"))
    order, rendering = generator("order"), generator("rendering")
    loss = train(network, data, order, rendering)
    accuracy = training.training_accuracy(network, data, rendering)
    after = [torch.rand(2, generator=rng) for rng in (order, rendering)]
    flat = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return torch.cat([flat, torch.tensor([loss, accuracy]), *after])


def by_recipe(network, data, order, rendering):
    recipe = Recipe(epochs=3, batch=8, lr=0.05, max_updates=9)
    return training.train(network, data, recipe, CPU, order, rendering, lambda *told: None)


def by_course(network, data, order, rendering):
    optimiser = torch.optim.SGD(network.parameters(), 0.05)
    course = training.Course(
        8, 7, optimiser, lambda update: None, torch.nn.functional.cross_entropy, lambda clips: -clips
    )
    return [float(loss) for _, loss in training.updates(network, data, course, order, rendering)][-1]


@pytest.mark.parametrize("train", [by_recipe, by_course])
def test_training_on_streamed_clips_gives_the_same_bits(store, train):
    assert torch.equal(weights(store, 0, train), weights(store, MUCH, train))


def test_testing_on_streamed_clips_gives_the_same_counts(store):
    network = SmallConvNet3D(3, ClipShape(3, 4, 16, 16), generator("network")).eval()
    results = [training.test(network, SplitClips(store, "train", CPU, free), 3, batch=5) for free in (0, MUCH)]
    assert results[0] == results[1]
    expected = normalise(torch.from_numpy(store.clips[store.positions("train")]).permute(1, 0, 5, 2, 3, 4))
    with torch.no_grad():
        scores = sum(network(window.contiguous()).softmax(dim=1) for window in expected)
    truth = store.labels[store.positions("train")]
    assert results[0].correct() == int((scores.argmax(dim=1).numpy() == truth).sum())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_clips_kept_or_streamed(store):
    cuda = torch.device("cuda")
    kept, streamed = (SplitClips(store, "train", cuda, free) for free in (MUCH, 0))
    index = torch.arange(len(kept))
    for view in range(2):
        wanted = SplitClips(store, "train", CPU).batch(index, view)
        assert torch.equal(kept.batch(index, view), streamed.batch(index, view))
        assert torch.allclose(kept.batch(index, view).cpu(), wanted, atol=1e-6)
