"""Out of memory: one more attempt with fewer clips at a time, which gives the same result but for rounding, and says so."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import mmap
import sys

import numpy as np
import psutil
import pytest
import torch

from bench.api import Clips
from bench.core.classifier import Classifier
from bench.core.errors import BenchError
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.core.signals import Stopped
from bench.judging import training
from bench.judging.protocols import wang2024 as protocol_wang2024
from bench.judging.protocols.standard import Quick
from bench.judging.protocols.wang2024 import Wang2024, pooled_test, standardising
from bench.nets.layers import SeededDropout
from bench.nets.microbatch import limit
from bench.results.records import from_json
from bench.running.cell import cell as cells
from bench.running.cell.cell import run_cell
from bench.running.cell.out_of_memory import says_out_of_memory
from bench.sets.dense import DenseSet

SHAPE = (3, 2, 4, 4)


class Counting(Classifier):
    """Double precision, with dropout; remembers how many clips it saw at a time."""

    def __init__(self, norm=False):
        super().__init__()
        rng = generator("weights")
        self.seen = []
        self.norm = torch.nn.BatchNorm3d(3, dtype=torch.float64) if norm else torch.nn.Identity()
        self.dropout = SeededDropout(0.4, rng)
        self.first = torch.nn.Linear(96, 40, dtype=torch.float64)
        self.last = torch.nn.Linear(40, 3, dtype=torch.float64)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -0.3, 0.3, generator=rng)

    def features(self, clips):
        self.seen.append(len(clips))
        return torch.tanh(self.first(self.norm(clips.double()).flatten(1)))

    def embedding(self, clips):
        return self.dropout(self.features(clips))

    def forward(self, clips):
        return self.last(self.embedding(clips))


class Real(Clips):
    """Test clips in two windows."""

    labels = torch.arange(150) % 3

    def views(self):
        return 2

    def batch(self, index, view):
        return torch.randn(150, *SHAPE, generator=generator("test", view))[index]


def synthetic(labels=None):
    made = DenseSet(torch.randn(23, *SHAPE, generator=generator("s")), torch.arange(23) % 3)
    if labels is not None:
        made.labels = torch.randn(23, 3, generator=generator("labels"), dtype=torch.float64)
        made.label_loss = labels
    return made


@pytest.mark.parametrize("protocol", [Quick, Wang2024])
@pytest.mark.parametrize("labels", [None, "squared", "cross-entropy"])
def test_fewer_clips_at_a_time_change_nothing_but_rounding(monkeypatch, protocol, labels):
    monkeypatch.setattr(protocol_wang2024, "EPOCHS", 6)
    monkeypatch.setattr(protocol_wang2024, "CUT", 3)
    monkeypatch.setattr(protocol_wang2024, "SQUARED_EPOCHS", 6)
    monkeypatch.setattr(protocol_wang2024, "SQUARED_LR", 0.01)
    monkeypatch.setattr(protocol, "recipe", dataclasses.replace(protocol.recipe, batch=10, epochs=6))
    found = []
    for most in (None, 4):
        network = limit(Counting(), most)
        outcome = protocol().evaluate(
            synthetic(labels), Real(), 3, lambda rng, network=network: network, 0, lambda *_: None, {"same": Real()}
        )
        found.append((network, outcome))
    (whole, expected), (cut, outcome) = found
    assert max(whole.seen) == (training.TEST_BATCH if protocol is Quick else 64)
    assert max(cut.seen) == 4
    assert sum(cut.seen) == sum(whole.seen)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(cut.state_dict()[name], value, rtol=1e-9, atol=1e-11)
    assert outcome.loss == pytest.approx(expected.loss, rel=1e-9)
    assert dataclasses.replace(outcome, loss=0.0) == dataclasses.replace(expected, loss=0.0)
    assert not torch.equal(Counting().first.weight, whole.first.weight)  # it was trained


def test_a_standardised_batch_stays_one():
    whole, cut = (
        pooled_test(standardising(limit(Counting().eval(), most)), Real(), 3, generator("t")) for most in (None, 7)
    )
    assert whole == cut
    assert whole != pooled_test(Counting().eval(), Real(), 3, generator("t"))


def test_a_gradient_that_goes_to_the_clips_alone_is_taken_portion_by_portion():
    clips = Real().batch(torch.arange(10), 0).double()
    found = []
    for most in (None, 4):
        network = limit(Counting().eval().requires_grad_(False), most)
        given = clips.clone().requires_grad_(True)
        loss = network.features(given).square().sum(dim=1).sqrt().sum() + network(given).prod()
        (first,) = torch.autograd.grad(loss, given, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), given)
        found.append((network.seen, loss, first, second))
    (whole, *expected), (cut, *figures) = found
    assert whole == [10, 10]
    assert sorted(cut[:6]) == [2, 2, 4, 4, 4, 4]
    assert max(cut) == 4
    assert sum(cut) >= 40  # each portion's maps twice: once for the loss, once for its gradient
    for one, other in zip(figures, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_pass_that_draws_or_learns_stays_whole():
    clips = Real().batch(torch.arange(10), 0).requires_grad_(True)
    learning, drawing = Counting().eval(), Counting().requires_grad_(False)
    for network in (learning, drawing):
        limit(network, 4)(clips)
        assert network.seen == [10]


def test_features_are_cut_up_only_where_no_gradient_is_wanted():
    clips = Real().batch(torch.arange(10), 0)
    network = limit(Counting().eval(), 4)
    for read in (network.features, network.embedding, network):
        network.seen.clear()
        whole = read(clips)
        assert network.seen == [10]
        with torch.no_grad():
            assert torch.allclose(read(clips), whole, rtol=1e-12, atol=0)
        assert network.seen == [10, 4, 4, 2]
    assert list(network.state_dict()) == list(Counting().state_dict())


def test_batch_norm_in_training_sees_its_batch_whole():
    network = limit(Counting(norm=True), 4)
    course = training.Course(
        10, 3, torch.optim.SGD(network.parameters(), 0.1), lambda _: None, torch.nn.functional.cross_entropy
    )
    list(training.updates(network, synthetic(), course, generator("o"), generator("r")))
    assert network.seen == [10, 10, 3]
    network.eval()
    training.test(network, Real(), 3)
    assert max(network.seen[3:]) == 4


# ----------------------------------------------------------------------------------------------------------------------
# Words


@contextlib.contextmanager
def little_memory(room):
    """The system gives this process so many bytes more, and no more."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
@pytest.mark.parametrize(
    "ask",
    [
        lambda file: torch.empty(1 << 30),
        lambda file: torch.zeros(1 << 13, 1) @ torch.zeros(1, 1 << 17),
        lambda file: torch.from_file(file, size=1 << 28),
        lambda file: np.empty(1 << 32),
        lambda file: np.memmap(file),
        lambda file: bytearray(1 << 32),
        lambda file: mmap.mmap(-1, 1 << 32),
    ],
)
def test_memory_that_truly_runs_out_is_known_by_its_words(tmp_path, ask):
    file = tmp_path / "large"
    with file.open("wb") as large:
        large.truncate(1 << 30)  # takes no room on the disk
    with little_memory(64 << 20), pytest.raises((RuntimeError, MemoryError, OSError)) as caught:
        ask(str(file))
    assert says_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY",
        "MPS backend out of memory (MPS allocated: 8 GB)",
        "std::bad_alloc",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.",
    ],
)
def test_devices_and_libraries_say_it_in_other_words(words):
    assert says_out_of_memory(RuntimeError(words))
    assert not says_out_of_memory(ValueError(words))  # a method's own words on its options


def test_other_errors_are_not_of_memory_unless_they_come_from_one_that_is():
    for error in (
        RuntimeError("CUDA error: an illegal memory access"),
        OSError(errno.ENOSPC, "No space left on device"),
    ):
        assert not says_out_of_memory(error)
    outer = BenchError("cannot write a clip store")
    outer.__cause__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert says_out_of_memory(outer)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_a_cell_that_truly_runs_out_of_memory_is_tried_again_and_ends_ok(plan, registries, context, monkeypatch):
    """Networks want a gibibyte where more than three clips come at a time, and the system does not give it."""
    kind = registries.networks.get("convnet3d-small")
    build = kind.build
    monkeypatch.setattr(cells, "MICRO_BATCH", 3)

    def built(self, classes, clip, rng):
        network = build(self, classes, clip, rng)
        forward = network.forward

        def hungry(clips):
            torch.empty((1 << 28) * (len(clips) > 3))
            return forward(clips)

        network.forward = hungry
        return network

    monkeypatch.setattr(kind, "build", built)
    (planned,) = plan("tiny-walk", ipcs=(2,))
    lines = []
    with little_memory(512 << 20):
        record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert (record.status, record.reason) == ("ok", "")
    assert "can't allocate memory" in record.data["retried"]["reason"]
    assert lines == [f"{record.data['retried']['reason']}; once more with at most 3 clips at a time"]


# ----------------------------------------------------------------------------------------------------------------------
# In cells


@pytest.fixture
def small_memory(registries, monkeypatch):
    """Networks that cannot take more than some clips at a time: ``small_memory(3)``."""
    kind = registries.networks.get("convnet3d-small")
    build = kind.build
    monkeypatch.setattr(cells, "MICRO_BATCH", 3)

    def shrink(room, error=torch.OutOfMemoryError):
        def built(self, classes, clip, rng):
            network = build(self, classes, clip, rng)
            forward = network.forward

            def full(clips):
                if len(clips) > room:
                    raise error("1 TiB wanted" if error is ValueError else "not enough memory: 1 TiB wanted")
                return forward(clips)

            network.forward = full
            return network

        monkeypatch.setattr(kind, "build", built)

    return shrink


def same_figures(one, other):
    """Equal but for the rounding of the loss."""
    plain = [[dataclasses.replace(e, loss=0.0) for e in record.evaluations] for record in (one, other)]
    losses = [[e.loss for e in record.evaluations] for record in (one, other)]
    return plain[0] == plain[1] and losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
def test_a_cell_that_runs_out_of_memory_is_tried_once_more(plan, registries, context, reporter, small_memory, error):
    (planned,) = plan("tiny-walk", ipcs=(2,))
    expected = run_cell(planned, registries, dataclasses.replace(context, out=context.out / "whole"), reporter)
    small_memory(3, error)
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert (record.status, record.reason) == ("ok", "")
    assert same_figures(record, expected)
    told = record.data["retried"]
    assert told["clips_at_a_time"] == 3
    assert told["peak_host_bytes"] > 10**7
    assert told["reason"].startswith("not enough memory: 1 TiB wanted (at its peak ")
    assert told["reason"].endswith(" GiB memory of the process)")
    assert lines == [f"{told['reason']}; once more with at most 3 clips at a time"]
    assert {key: value for key, value in record.data.items() if key != "retried"} == expected.data
    assert "retried" not in expected.data
    assert record.id == expected.id
    assert from_json(record.to_json()) == record


def test_a_cell_that_runs_out_of_memory_twice_is_recorded_with_its_peak(
    plan, registries, context, reporter, small_memory
):
    small_memory(2)
    (planned,) = plan("tiny-walk", ipcs=(2,))
    record = run_cell(planned, registries, context, reporter)
    assert record.status == "oom"
    assert record.reason.startswith("not enough memory: 1 TiB wanted; also with 3 clips at a time (at its peak ")
    assert record.costs["evaluate"].peak_host_bytes > 10**7
    assert record.set is not None
    assert not (context.out / "checkpoints" / record.id).exists()


def test_the_second_attempt_distils_nothing_again_and_lasts_over_a_break(
    plan, registries, context, small_memory, reporter
):
    (planned,) = plan("tiny-walk", ipcs=(2,))
    expected = run_cell(planned, registries, dataclasses.replace(context, out=context.out / "whole"), reporter)
    small_memory(3)
    seen = []

    def stop(phase, step, total, loss):
        seen.append(phase)
        if seen.count("evaluate") == 9:
            raise Stopped

    with pytest.raises(Stopped):
        run_cell(planned, registries, context, Reporter(stop, lambda _: None))
    assert seen.count("distil") == 6
    (marker,) = (context.out / "checkpoints").rglob("retried.json")
    assert json.loads(marker.read_text())["clips_at_a_time"] == 3
    lines = []
    record = run_cell(planned, registries, context, Reporter(lambda *_: None, lines.append))
    assert lines == []  # it went on with few clips at once
    assert same_figures(record, expected)
    assert record.data["retried"]["clips_at_a_time"] == 3


def test_networks_of_methods_and_of_upstream_see_fewer_clips_too(plan, registries, context, reporter, small_memory):
    (planned,) = plan("herding", ipcs=(2,))
    expected = run_cell(planned, registries, dataclasses.replace(context, cache=context.cache / "other"), reporter)
    small_memory(3)
    record = run_cell(planned, registries, context, reporter)
    assert record.status == "ok"
    assert same_figures(record, expected)
    assert record.data["retried"]["clips_at_a_time"] == 3


def test_what_fails_in_upstream_has_its_peak(plan, registries, context, reporter, small_memory):
    small_memory(2)
    (planned,) = plan("herding")
    record = run_cell(planned, registries, context, reporter)
    assert record.status == "oom"
    assert record.costs["upstream"].peak_host_bytes > 10**7
    assert "; also with 3 clips at a time (at its peak " in record.reason


def test_other_failures_are_not_tried_again(plan, registries, context, small_memory):
    small_memory(3, ValueError)
    lines, seen = [], []
    (planned,) = plan("tiny-walk", ipcs=(2,))
    record = run_cell(planned, registries, context, Reporter(lambda phase, *_: seen.append(phase), lines.append))
    assert record.status == "failed"
    assert seen.count("distil") == 6
    assert lines == []
