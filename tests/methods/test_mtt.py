"""MTT: a step against a plain unrolled loop, the memory-flat gradient against it, TESLA's against its formula, the experts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest
import torch
from bench.methods._experts import Experts
from bench.methods._unroll import BACKWARD, distance
from bench.methods.mtt import MTT, MTTConfig, draw_segment, inner_loss

from bench import plugins
from bench.api import ClipShape, Protocol, Upstream
from bench.core.rng import generator
from bench.distill.functional import FlatNetwork, flatten
from bench.distill.real_start import real_initialisation
from bench.distill.segments import SegmentTask
from bench.judging.protocols.standard import Quick, Standard
from bench.judging.protocols.wang2024 import Wang2024
from bench.nets.convnet3d import ConvNet3D, SmallConvNet3D
from bench.running.cell.trained_network import TrainedNetwork
from bench.sets.static_dynamic import StaticDynamicSet
from bench.testing.rehearsal import Rehearsal, tiny_store
from tests.oracle.fake_task import FakeTask

SMALL = MTTConfig(
    steps=2, syn_steps=3, max_start_epoch=2, experts=2, expert_batch=4, expert_lr=0.1, lr=50.0, rate=0.05, lr_rate=1e-3
)


def memory(task: FakeTask) -> StaticDynamicSet:
    rng = generator("memory")
    static, dynamic = torch.randn(2, 2, 3, 16, 16, generator=rng), torch.randn(2, 2, 1, 4, 16, 16, generator=rng)
    weight, bias = 0.2 * torch.randn(3, 4, 3, 3, 3, generator=rng), torch.randn(3, generator=rng)
    kept = [tensor.to(task.dtype) for tensor in (static, dynamic, weight, bias)]
    return StaticDynamicSet(
        torch.tensor([0, 1]), 4, static=kept[0], dynamic=kept[1], hallucinator=(kept[2], kept[3])
    )  # fmt: skip


def gradients(way: str, kind: str, dtype: torch.dtype, rate: float = 0.1) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loss after four steps and its gradient in all that is stored and in the rate."""
    task = FakeTask(classes=2, per_class=4, ipc=1, dtype=dtype)
    synthetic = real_initialisation(task) if kind == "clips" else memory(task)
    learned_rate = torch.tensor(rate, dtype=dtype, requires_grad=True)
    learned = (*(tensor.requires_grad_(True) for tensor in synthetic.tensors().values()), learned_rate)
    config = MTTConfig(syn_steps=4, batch_syn=1)
    student = FlatNetwork(task.network(generator("student")))
    inner = inner_loss(task, synthetic, student, config, 0)
    start = student.parameters()
    target = start + 0.01 * torch.randn(start.shape, generator=generator("target")).to(dtype)
    loss, found = BACKWARD[way](inner, start, target, learned_rate, 4, learned)
    return loss, [gradient for gradient in found if gradient is not None]


def relative(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """The largest relative error over the tensors."""
    assert len(found) == len(expected)
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("kind", ["clips", "memories"])
def test_stepwise_is_the_exact_gradient(kind: str, dtype: torch.dtype, bound: float) -> None:
    loss, expected = gradients("unrolled", kind, dtype)
    again, found = gradients("stepwise", kind, dtype)
    assert again.item() == pytest.approx(loss.item(), rel=bound)
    assert len(expected) == (2 if kind == "clips" else 5)
    assert relative(found, expected) < bound


def test_stepwise_is_exact_with_dropout_too() -> None:
    """ConvNet3D draws dropout masks: building a step's graph again must draw the same."""
    clip = ClipShape(3, 8, 64, 64)
    student = FlatNetwork(ConvNet3D(2, clip, generator("student")).double())
    clips = torch.randn(1, *clip.dims(), generator=generator("clips")).double().requires_grad_(True)
    labels = torch.tensor([1])

    def inner(i: int, theta: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(student.logits(theta, clips, generator("masks", i)), labels)

    start = student.parameters()
    target = start + 0.01 * torch.randn(start.shape, generator=generator("target"))
    rate = torch.tensor(0.5).double()
    (_, whole), (_, step) = (BACKWARD[way](inner, start, target, rate, 2, (clips,)) for way in ("unrolled", "stepwise"))
    assert whole[0] is not None
    assert step[0] is not None
    assert relative([step[0]], [whole[0]]) < 1e-9
    assert float(whole[0].abs().max()) > 0


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that tensors took at any moment of some work, beyond what there was before; every allocation is counted."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    assert profile.profiler is not None
    found = profile.profiler.kineto_results.events()  # events() of the profile itself takes a minute to sort them
    changes = sorted((e.start_ns(), number, e.nbytes()) for number, e in enumerate(found) if e.name() == "[memory]")
    return max(itertools.accumulate(change for _, _, change in changes))


def test_memory_is_flat_in_the_students_steps_beyond_the_parameters_that_are_kept() -> None:
    task = FakeTask(classes=4, per_class=4, ipc=1)
    clips = real_initialisation(task)
    pixels = clips.clips.requires_grad_(True)
    student = FlatNetwork(task.network(generator("student")))
    start, rate = student.parameters(), torch.tensor(0.1)
    target = start + 0.01 * torch.randn(start.shape, generator=generator("target"))
    parameters = start.numel() * start.itemsize

    def peak(way: str, steps: int) -> int:
        inner = inner_loss(task, clips, student, MTTConfig(syn_steps=steps), 0)
        return peak_bytes(lambda: BACKWARD[way](inner, start, target, rate, steps, (pixels,)))

    few, many = peak("stepwise", 10), peak("stepwise", 40)
    assert abs(many - 40 * parameters - (few - 10 * parameters)) < 0.1 * (few - 10 * parameters)
    assert peak("unrolled", 20) > 3 * peak("unrolled", 5)


def test_tesla_is_its_formula_and_not_the_gradient() -> None:
    """dL/dx with later parameters constant: -2 rate (theta_N - target) / |start - target|^2 . sum_i dg_i/dx."""
    task = FakeTask(classes=2, per_class=4, ipc=1, dtype=torch.float64)
    clips = real_initialisation(task)
    pixels = clips.clips.requires_grad_(True)
    student = FlatNetwork(task.network(generator("student")))
    inner = inner_loss(task, clips, student, MTTConfig(syn_steps=3), 0)
    start, rate = student.parameters(), torch.tensor(0.1).double()
    target = start + 0.01 * torch.randn(start.shape, generator=generator("target"))
    _, (found,) = BACKWARD["tesla"](inner, start, target, rate, 3, (pixels,))

    theta, summed = start, torch.zeros_like(start)
    for i in range(3):
        leaf = theta.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(inner(i, leaf), leaf, create_graph=True)
        summed = summed + gradient
        theta = theta - rate * gradient.detach()
    towards = 2 * (theta - target) / (start - target).square().sum()
    (expected,) = torch.autograd.grad(-rate * (summed @ towards), pixels)
    assert found is not None
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_tesla_nears_the_gradient_as_the_rate_goes_to_zero() -> None:
    cosines = []
    for rate in (1e-4, 0.1):
        exact, approximate = (gradients(way, "clips", torch.float64, rate=rate)[1][0] for way in ("unrolled", "tesla"))
        cosines.append(torch.nn.functional.cosine_similarity(exact.flatten(), approximate.flatten(), dim=0).item())
    assert cosines[0] > 0.9999
    assert cosines[1] < 0.9


def test_a_run_is_a_plain_unrolled_loop() -> None:
    """Two steps with the network's own module in place of the flat one, SGD with momentum written out."""
    task = FakeTask(classes=2, per_class=6, ipc=1)
    learned = MTT(SMALL).distill(task)

    task = FakeTask(classes=2, per_class=6, ipc=1)
    experts = task.upstream(Experts(2, 2, 0.1, 4))
    start_clips = real_initialisation(task).clips
    pixels, rate = start_clips.clone(), torch.tensor(0.05)
    velocity, velocity_rate = torch.zeros_like(pixels), torch.zeros(())
    names = [name for name, _ in task.network(generator("any")).named_parameters()]
    for step in range(2):
        pixels.requires_grad_(True)
        rate.requires_grad_(True)
        start, target = draw_segment(task, experts, SMALL, step)
        network = task.network(generator("any"))
        torch.nn.utils.vector_to_parameters(start, network.parameters())
        theta = {name: p.detach().clone().requires_grad_(True) for name, p in network.named_parameters()}
        for _ in range(3):
            logits = torch.func.functional_call(network, theta, (pixels,))
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
            found = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
            theta = {name: theta[name] - rate * g for name, g in zip(names, found, strict=True)}
        end = torch.cat([theta[name].flatten() for name in names])
        matching = (end - target).pow(2).sum() / (start - target).pow(2).sum()
        gradient, gradient_rate = torch.autograd.grad(matching, [pixels, rate])
        velocity, velocity_rate = 0.5 * velocity + gradient, 0.5 * velocity_rate + gradient_rate
        pixels = (pixels - 50.0 * velocity).detach()
        rate = (rate - 1e-3 * velocity_rate).clamp(min=0.001).detach()
    torch.testing.assert_close(learned.tensors()["clips"], pixels, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(pixels, start_clips, atol=0.02)
    assert learned.rate is not None
    assert learned.rate.item() == pytest.approx(rate.item(), rel=1e-4)
    assert learned.rate.item() != pytest.approx(0.05, rel=1e-6)


def test_the_learned_rate_stays_above_its_floor() -> None:
    found = []
    for lr in (1e3, -1e3):  # one of the two goes down, far below
        config = MTTConfig(**{**SMALL.__dict__, "lr_rate": lr, "steps": 1})
        rate = MTT(config).distill(FakeTask(classes=2, per_class=6, ipc=1)).rate
        assert rate is not None
        found.append(rate.item())
    assert min(found) == pytest.approx(0.001)
    assert max(found) > 0.05


def test_an_expert_is_plain_sgd_from_its_first_parameters() -> None:
    task = FakeTask(classes=2, per_class=3, ipc=1)
    theta = Experts(1, 2, 0.1, 6).make(task, 0)["theta"]
    network = task.network(task.rng("expert network", 0))
    assert theta.shape == (3, flatten(network.parameters()).numel())
    torch.testing.assert_close(theta[0], flatten(network.parameters()).detach())
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    for epoch in range(2):  # the batch holds everything, so its order does not matter
        loss = torch.nn.functional.cross_entropy(network(task.data), labels)
        for p, g in zip(list(network.parameters()), torch.autograd.grad(loss, list(network.parameters())), strict=True):
            p.data -= 0.1 * g
        torch.testing.assert_close(theta[epoch + 1], flatten(network.parameters()).detach(), rtol=1e-4, atol=1e-5)


def test_under_wang2024_an_expert_learns_from_mirrored_standardised_batches() -> None:
    """As the video release trains its experts; the loop is written out in float64."""

    class Judged(FakeTask):
        def training_batch(self, clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
            return Wang2024().training_batch(clips, True, rng)

    task = Judged(classes=2, per_class=3, ipc=1, dtype=torch.float64)
    theta = Experts(1, 2, 0.1, 4).make(task, 0)["theta"]
    network = task.network(task.rng("expert network", 0))
    order, flips = task.rng("expert order", 0), task.rng("expert batches", 0)
    for epoch in range(2):
        for chosen in torch.randperm(6, generator=order).split(4):
            torch.randint(1, chosen.shape, generator=order)  # windows
            drawn = (torch.rand(len(chosen), generator=flips) < 0.5).tolist()
            batch = torch.stack(
                [task.data[i].flip(-1) if flip else task.data[i] for i, flip in zip(chosen, drawn, strict=True)]
            )
            deviation = ((batch - batch.mean()).square().sum() / (batch.numel() - 1)).sqrt()
            loss = torch.nn.functional.cross_entropy(network((batch - batch.mean()) / deviation), chosen // 3)
            for p, g in zip(
                list(network.parameters()), torch.autograd.grad(loss, list(network.parameters())), strict=True
            ):
                p.data -= 0.1 * g
        torch.testing.assert_close(theta[epoch + 1], flatten(network.parameters()).detach(), rtol=1e-9, atol=1e-10)
    plain = Experts(1, 2, 0.1, 4).make(FakeTask(classes=2, per_class=3, ipc=1, dtype=torch.float64), 0)["theta"]
    assert float((theta[2] - plain[2]).norm()) > 0.1 * float((plain[2] - plain[0]).norm())


def test_experts_serve_only_protocols_that_show_networks_the_same_batches(tmp_path) -> None:
    """And views and other upstream parts do not depend on the protocol."""
    rehearsal = Rehearsal("mtt", plugins.load(), tmp_path)
    stores = {mirrors: dataclasses.replace(tiny_store(), mirrors=mirrors) for mirrors in (False, True)}

    def key(what: Upstream, protocol: Protocol, mirrors: bool) -> dict[str, object]:
        return rehearsal.task(store=stores[mirrors], protocol=protocol)._key(what)

    experts = Experts(1, 1, 0.1, 4)
    assert key(experts, Standard(), True) == key(experts, Quick(), False)
    found = [key(experts, protocol, mirrors) for protocol in (Quick(), Wang2024()) for mirrors in (False, True)]
    assert found[0] == found[1]
    assert len({str(each) for each in found}) == 3
    assert found[3]["batches"] == {"protocol": "wang2024", "mirrors": True, "version": 2}
    assert key(TrainedNetwork(Quick.recipe), Quick(), True) == key(TrainedNetwork(Quick.recipe), Wang2024(), True)
    task = rehearsal.task(setting="segments-2", store=stores[True], protocol=Wang2024())
    seen = SegmentTask(task, 0, [])
    clips = torch.randn(5, 3, 2, 4, 4)
    torch.testing.assert_close(
        seen.training_batch(clips, generator("b")), Wang2024().training_batch(clips, True, generator("b"))
    )


def test_reaching_the_expert_costs_nothing_and_standing_still_costs_one() -> None:
    start, target = torch.zeros(4), torch.ones(4)
    assert distance(target, start, target).item() == 0.0
    assert distance(start, start, target).item() == 1.0
    assert distance(target / 2, start, target).item() == pytest.approx(0.25)


def test_learned_clips_bring_the_student_nearer_to_the_expert() -> None:
    task = FakeTask(classes=2, per_class=8, ipc=1)
    config = MTTConfig(
        steps=40, syn_steps=4, max_start_epoch=1, experts=1, expert_lr=0.1, expert_batch=4, lr=200.0, learn_rate=False, rate=0.1
    )  # fmt: skip
    MTT(config).distill(task)
    losses = task.losses[1:]  # the first is the expert's
    assert len(losses) == 40
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


def test_soft_labels_are_an_experts_probabilities_and_count() -> None:
    task = FakeTask(classes=3, per_class=4, ipc=2)
    config = MTTConfig(**{**SMALL.__dict__, "labels": "soft", "steps": 0})
    synthetic = MTT(config).distill(task)
    theta = task.upstream(Experts(2, 2, 0.1, 4)).rows(0, "theta", slice(2, 3))[0]
    network = SmallConvNet3D(3, task.clip, generator("any")).eval()
    torch.nn.utils.vector_to_parameters(theta, network.parameters())
    torch.testing.assert_close(synthetic.labels, network(real_initialisation(task).clips).softmax(1).detach())
    assert synthetic.stored()["labels"].numel() == 6 * 3
