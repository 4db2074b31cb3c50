"""The gradient accumulated over blocks of classes is that of the whole sum, whatever kind of set it is of."""

from __future__ import annotations

import pytest
import torch
from bench.methods.dc import class_gradient, gradient_distance
from bench.methods.dm import DM, DMConfig, dm_loss

from bench.core.rng import generator
from bench.distill.features import class_means
from bench.distill.gradient_blocks import accumulated, class_blocks, in_blocks, pulled_back
from bench.distill.learner import Learner
from bench.distill.real_start import real_initialisation
from bench.sets.dense import DenseSet
from bench.sets.static_dynamic import StaticDynamicSet
from tests.oracle.fake_task import FakeTask

LABELS = torch.tensor([3, 0, 1, 0, 4, 2, 2, 2, 1, 5, 0])  # uneven and out of order
CLASSES = 6


def random(*shape: int, name: str) -> torch.Tensor:
    return torch.randn(*shape, generator=generator("blocks", name), dtype=torch.float64)


def dense() -> DenseSet:
    return DenseSet(random(len(LABELS), 3, 4, 16, 16, name="dense"), LABELS)


def static_dynamic() -> StaticDynamicSet:
    return StaticDynamicSet(
        LABELS, 4, static=random(len(LABELS), 2, 3, 16, 16, name="static"),
        dynamic=random(len(LABELS), 2, 1, 4, 16, 16, name="dynamic"),
        hallucinator=(random(3, 4, 3, 3, 3, name="weight"), random(3, name="bias")),
    )  # fmt: skip


def test_blocks_hold_every_class_and_clip_once_and_no_more_than_asked_for() -> None:
    for most in range(1, 13):
        blocks = class_blocks(LABELS, CLASSES, most)
        assert [label for block in blocks for label in block.labels] == list(range(CLASSES))
        assert sorted(place for block in blocks for place in block.clips.tolist()) == list(range(len(LABELS)))
        for block in blocks:
            assert len(block.clips) <= most or len(block.labels) == 1
            assert torch.equal(block.own + block.labels.start, LABELS[block.clips])
    assert [list(block.labels) for block in class_blocks(LABELS, CLASSES, 5)] == [[0, 1], [2, 3, 4], [5]]
    assert len(class_blocks(LABELS, CLASSES, 11)) == 1


@pytest.mark.parametrize("most", [1, 3, 5, 11])
@pytest.mark.parametrize("make", [dense, static_dynamic])
def test_distribution_matching_has_the_gradient_of_the_whole(make, most) -> None:
    task = FakeTask(CLASSES, 5, 1, torch.float64)
    network = task.network(generator("network")).requires_grad_(False)
    seen: list[int] = []

    synthetic = make()
    learner = Learner(synthetic, dict.fromkeys(synthetic.tensors(), 1.0))
    tensors = list(learner.learned.values())
    real = class_means(task, network.features, 4, task.rng("real", 0))
    clips = learner.render(torch.arange(len(LABELS)), generator("render"))
    whole = dm_loss(real, network.features(clips), LABELS)
    wanted = torch.autograd.grad(whole, tensors)

    rng = task.rng("real", 0)

    def loss_of(block, part):
        seen.append(len(part))
        batches = torch.stack([network.features(task.real(label, 4, rng)).mean(dim=0) for label in block.labels])
        return dm_loss(batches.detach(), network.features(part), block.own)

    clips = learner.render(torch.arange(len(LABELS)), generator("render"))
    loss, gradient = in_blocks(clips, class_blocks(LABELS, CLASSES, most), loss_of)
    found = pulled_back(clips, gradient, tensors)
    torch.testing.assert_close(loss, whole.detach(), rtol=1e-12, atol=0)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))
        assert float(other.abs().max()) > 0
    assert max(seen) == max(most, 3)  # a class has up to three clips
    assert not loss.requires_grad


def test_clips_of_no_block_and_tensors_that_are_not_touched() -> None:
    stored, other = random(4, 1, 1, 1, 2, name="stored").requires_grad_(True), torch.zeros(1, requires_grad=True)
    clips = stored * 3
    blocks = class_blocks(torch.tensor([0, 1, 1, 2]), 3, 1)[1:]
    loss, gradient = in_blocks(clips, blocks, lambda block, part: part.square().sum())
    assert loss.item() == pytest.approx(float((3 * stored[1:]).detach().square().sum()))
    found = pulled_back(clips, gradient, [stored, other])
    assert found[1] is None
    torch.testing.assert_close(found[0], torch.cat([0 * stored[:1], 18 * stored[1:]]).detach())


def test_gradient_matching_class_by_class_has_the_gradient_of_the_sum() -> None:
    task = FakeTask(CLASSES, 5, 1, torch.float64)
    network = task.network(generator("network"))
    synthetic = static_dynamic()
    learner = Learner(synthetic, dict.fromkeys(synthetic.tensors(), 1.0))
    tensors = [*learner.learned.values(), torch.zeros(1, requires_grad=True)]

    def losses():
        rng_real, rng_render = task.rng("real", 0), task.rng("render", 0)
        for label in range(CLASSES):
            own = (label == LABELS).nonzero().flatten()
            real = class_gradient(network, task.real(label, 3, rng_real), label, create_graph=False)
            fake = class_gradient(network, learner.render(own, rng_render), label, create_graph=True)
            yield gradient_distance([g.detach() for g in real], fake)

    whole = torch.stack(list(losses())).sum()
    wanted = torch.autograd.grad(whole, tensors, allow_unused=True)
    loss, found = accumulated(losses(), tensors)
    torch.testing.assert_close(loss, whole.detach(), rtol=1e-12, atol=0)
    assert wanted[-1] is found[-1] is None
    for one, other in zip(found[:-1], wanted[:-1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))


def test_a_whole_run_in_blocks_learns_what_the_method_learns() -> None:
    config = DMConfig(steps=4, momentum=0.5, batch_real=3)
    task = FakeTask(CLASSES, 5, 2)
    usual = real_initialisation(task)
    DM(config).match(task, usual, {"clips": 0.5})

    synthetic = real_initialisation(task)
    learner = Learner(synthetic, {"clips": 0.5}, 0.5)
    blocks = class_blocks(synthetic.labels, CLASSES, 4)
    for step in range(config.steps):
        network = task.network(task.rng("network", step)).requires_grad_(False)
        rng = task.rng("real", step)

        def loss_of(block, part, network=network, rng=rng):
            with torch.no_grad():
                real = [network.features(task.real(label, 3, rng)).mean(dim=0) for label in block.labels]
            return dm_loss(torch.stack(real), network.features(part), block.own)

        clips = learner.render(torch.arange(len(synthetic)), task.rng("render", step))
        _, gradient = in_blocks(clips, blocks, loss_of)
        learner.apply(pulled_back(clips, gradient, list(learner.learned.values())))
    moved = (usual.tensors()["clips"] - real_initialisation(task).tensors()["clips"]).abs().max()
    torch.testing.assert_close(
        synthetic.tensors()["clips"], usual.tensors()["clips"], rtol=1e-4, atol=1e-4 * float(moved)
    )
