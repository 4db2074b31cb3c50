"""The pretend device itself: real arithmetic, no mixing, and every wait and every byte counted."""

from __future__ import annotations

import gc

import pytest
import torch

from bench.core.upload import upload
from bench.testing import pretend

pytestmark = pytest.mark.skipif(pretend.missing() is not None, reason=str(pretend.missing()))


@pytest.fixture
def x():
    return torch.tensor([[3.0, -1.0], [2.0, 0.0]]).to(pretend.device())


def test_arithmetic_is_real_backward_and_twice_backward():
    weight = torch.tensor([2.0, 3.0]).to(pretend.device()).requires_grad_(True)
    (first,) = torch.autograd.grad((weight**3).sum(), [weight], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), [weight])
    assert first.tolist() == [12.0, 27.0]
    assert second.tolist() == [12.0, 18.0]
    assert (first.device.type, second.device.type) == ("pretend", "pretend")


def test_views_share_what_is_written(x):
    x[0].mul_(2)
    x.t_()
    assert x.shape == (2, 2)
    assert x.tolist() == [[6.0, 2.0], [-2.0, 0.0]]


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + torch.ones(2),
        lambda x: torch.ones(2, 2) @ x,
        lambda x: x[torch.tensor([0])],
        lambda x: torch.cat([x, torch.ones(1, 2)]),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 1])),
    ],
)
def test_two_devices_do_not_mix(x, mixed):
    with pytest.raises(pretend.MixedDevices, match=r"on pretend:0, but one .* is on cpu"):
        mixed(x)


def test_a_single_number_of_the_cpu_mixes_as_on_a_gpu(x):
    assert (x * torch.tensor(2.0)).tolist() == [[6.0, -2.0], [4.0, 0.0]]


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (lambda x: float(x[0, 0]), "reading a number"),
        (lambda x: bool((x > 0).any()), "reading a number"),
        (lambda x: x.tolist(), "a copy to the CPU"),
        (lambda x: torch.empty(2, 2).copy_(x), "a copy to the CPU"),
        (lambda x: x.copy_(torch.ones(2, 2)), "a copy from the CPU"),
        (lambda x: torch.tensor([1.0], device=x.device), "a copy from the CPU"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x[x > 0], "a selection by a mask"),
        (lambda x: torch.equal(x, x), "comparing tensors"),
        (lambda x: torch.linalg.inv(x), "whether a matrix can be inverted"),
    ],
)
def test_each_wait_is_counted_once_with_its_line(x, work, what):
    with pretend.counting() as counts:
        work(x)
    assert len(counts.waits) == 1, counts.waits
    assert counts.waits[0].startswith(what)
    assert "in test_pretend.py:" in counts.waits[0]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: upload(torch.ones(3), x.device),
        lambda x: x.argmax(dim=1),
        lambda x: torch.zeros(3, device=x.device) + torch.arange(3, device=x.device),
        lambda x: torch.nn.functional.one_hot(x.argmax(dim=1), 2),
        lambda x: torch.linalg.solve_ex(x, x),
    ],
)
def test_what_does_not_wait_is_not_counted(x, work):
    with pretend.counting() as counts:
        work(x)
    assert counts.waits == []


def test_bytes_are_counted_while_they_are_in_use():
    gc.collect()
    with pretend.counting() as counts:
        before = counts.live
        one = torch.zeros(1000, device=pretend.device())
        view = one[10:]
        two = one + 1
        assert counts.live - before == 8000
        del one
        assert counts.live - before == 8000, "a view keeps the whole"
        del view
        assert counts.live - before == 4000
        assert counts.peak - before >= 8000
        del two
    assert counts.live == before


def test_sizes_alone_compute_nothing_and_count_the_same():
    with pretend.sizes_only(), pretend.counting() as counts:
        before = counts.live
        huge = torch.zeros(1 << 34, device=pretend.device())
        product = huge * 2
        assert counts.live - before == 2 << 36
        assert float(product.sum()) == 0.0
        assert product.dtype == torch.float32
