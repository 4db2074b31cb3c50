"""Number formats: what computes in which, that a device's lack is said, and that figures of two never meet in one table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import bench
from bench.api import ClipShape
from bench.core import precision
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.distill.functional import FlatNetwork
from bench.nets.halved import to_distil, to_judge
from bench.results.records import RecordStore
from bench.running.cell.cell import run_cell
from bench.tables.leaderboard import leaderboards

SHAPE = ClipShape(3, 4, 16, 16)


def network(registries, name="convnet3d-small"):
    return registries.networks.get(name)().build(5, SHAPE, generator("network"))


@pytest.fixture
def clips():
    return torch.randn(4, *SHAPE.dims(), generator=generator("clips"))


def close_but_not_equal(found, exact):
    assert found.dtype == torch.float32
    error = float((found - exact).detach().norm() / exact.detach().norm())
    return 1e-5 < error < 0.05


def test_bf16_is_near_float32_and_comes_out_as_float32(registries, clips):
    exact = network(registries)
    halved = to_distil(network(registries), "bf16")
    for found, wanted in ((halved(clips), exact(clips)), (halved.features(clips), exact.features(clips))):
        assert close_but_not_equal(found, wanted)
    assert all(parameter.dtype == torch.float32 for parameter in halved.parameters())


def test_bf16_real_leaves_every_pass_with_gradients_as_it_is(registries, clips):
    exact = network(registries)
    halved = to_distil(network(registries), "bf16-real")
    assert torch.equal(halved.features(clips), exact.features(clips))
    with torch.no_grad():
        assert close_but_not_equal(halved.features(clips), exact.features(clips))
    assert torch.equal(halved.features(clips), exact.features(clips))
    judged = network(registries)
    assert to_judge(judged, "bf16-real") is judged


def test_float32_and_tf32_are_the_network_itself(registries):
    plain = network(registries)
    for name in ("float32", "tf32"):
        assert to_distil(plain, name) is plain
        assert to_judge(plain, name) is plain


def test_training_can_be_differentiated_through_bf16(registries, clips):
    """One unrolled step, as trajectory matching takes it: its gradient points where that of float32 does."""

    def gradient(name):
        flat = FlatNetwork(to_distil(network(registries), name))
        x = clips.clone().requires_grad_(True)
        theta = flat.parameters().requires_grad_(True)
        labels = torch.tensor([0, 1, 2, 3])

        def loss(at):
            return torch.nn.functional.cross_entropy(flat.logits(at, x, generator("masks")), labels)

        (first,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
        (second,) = torch.autograd.grad(loss(theta - 0.5 * first), x)
        return second.flatten()

    exact, found = gradient("float32"), gradient("bf16")
    assert not torch.equal(exact, found)
    assert float(torch.nn.functional.cosine_similarity(exact, found, dim=0)) > 0.97


def test_tf32_is_on_only_where_it_was_asked_for():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    for name in precision.PRECISIONS:
        with precision.computing(name):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == ((name == "tf32"),) * 2
        assert (matmul.allow_tf32, cudnn.allow_tf32) == before


def test_a_cpu_refuses_what_it_lacks(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    precision.require("float32", "cpu")
    for name in ("bf16", "bf16-real"):
        with pytest.raises(BenchError, match=f"--precision {name}: this CPU has neither AVX512-BF16 nor AMX"):
            precision.require(name, "cpu")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    precision.require("bf16", "cpu")
    with pytest.raises(BenchError, match="a CPU has no TF32"):
        precision.require("tf32", "cpu")


@pytest.mark.parametrize("name", ["bf16", "bf16-real"])
def test_a_cell_in_bf16_is_another_cell_with_other_figures(plan, registries, context, reporter, name):
    (exact,) = plan("dm", overrides={"dm": {"steps": 2, "batch_real": 3}})
    (planned,) = plan("dm", overrides={"dm": {"steps": 2, "batch_real": 3}}, precision=name)
    assert planned.cell.id() != exact.cell.id()
    records = [run_cell(cell, registries, context, reporter) for cell in (exact, planned)]
    assert [record.status for record in records] == ["ok", "ok"], records[1].reason
    assert records[0].history["loss"] != records[1].history["loss"]
    assert records[0].history["loss"] == pytest.approx(records[1].history["loss"], rel=0.05)


def test_tables_never_mix_precisions(plan):
    from bench.results.records import Record

    (planned,) = plan("dm")
    cells = [dataclasses.replace(planned.cell, precision=name) for name in ("float32", "bf16")]
    boards = leaderboards([Record(cell, "failed", "x") for cell in cells])
    assert len(boards) == 2
    assert sorted("in bf16" in board.title for board in boards) == [False, True]


def test_published_records_keep_their_ids():
    """Reading a record checks its id: a field that was added since must not count where it has its default."""
    folder = Path(bench.__file__).parent.parent / "results"
    records = list(RecordStore(folder).all(history=False))
    assert len(records) == len(list((folder / "cells").glob("*.json"))) > 0
    assert {record.cell.precision for record in records} == {"float32"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("fp8", "--precision: unknown precision 'fp8' (valid: float32, tf32, bf16, bf16-real)"),
        ("tf32", "--precision tf32: a CPU has no TF32"),
    ],
)
def test_what_cannot_be_is_refused(bench_main, tiny_plugin, tmp_path, option, words):
    outcome = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-noise", "--device", "cpu", "--out",
        tmp_path, "--precision", option,
    )  # fmt: skip
    assert outcome.code == 2
    assert words in outcome.err
