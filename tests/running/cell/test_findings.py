"""What a record says of its cell: that its figures agree, on which processors they were made, and what was measured when."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from bench.core.reporter import Reporter
from bench.core.signals import Stopped
from bench.results.records import PhaseCost, from_json
from bench.running.cell import cell as cells
from bench.running.cell.cell import run_cell
from bench.running.cell.journal import Journal
from bench.running.cell.provenance import environment, processor


@pytest.fixture
def run_on(plan, registries, context, monkeypatch):
    """Runs a cell as if on that kind of processor; ``stop`` is the phase and step at which the power goes out."""
    (planned,) = plan("tiny-walk")

    def run(kind, stop=None):
        for module in ("distil", "partial"):
            monkeypatch.setattr(f"bench.running.cell.{module}.processor", lambda device: kind)
        monkeypatch.setattr(cells, "environment", lambda device: {**environment(device), "processors": [kind]})

        def step(phase, number, total, loss):
            if (phase, number) == stop:
                raise Stopped

        return run_cell(planned, registries, context, Reporter(step, lambda line: None))

    return run


def test_the_kind_of_processor_is_its_name_and_its_instructions(monkeypatch):
    kind = processor("cpu")
    assert environment("cpu")["processors"] == [kind]
    assert kind.split(", ")[1] == torch.backends.cpu.get_cpu_capability() == environment("cpu")["vector"]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    processor.cache_clear()
    assert processor("cpu") == f"{kind}, ONEDNN_MAX_CPU_ISA=AVX2"
    processor.cache_clear()


@pytest.mark.parametrize("stop", [("evaluate", 7), ("probe", 7)])
def test_a_cell_that_was_made_in_parts_on_several_kinds_of_processor_says_so(run_on, stop):
    with pytest.raises(Stopped):
        run_on("AVX2", stop)
    record = run_on("AVX512")
    assert record.provenance["processors"] == ["AVX2", "AVX512"]
    assert from_json(record.to_json()) == record


def test_a_cell_that_was_made_on_one_kind_names_it_once(run_on):
    with pytest.raises(Stopped):
        run_on("AVX2", ("evaluate", 7))
    assert run_on("AVX2").provenance["processors"] == ["AVX2"]


def test_a_journal_keeps_the_processors_and_the_history_of_a_distillation():
    journal = Journal(distil=PhaseCost(1.0, 1.0, 0, 0))
    for kind in ("AVX2", "AVX512", "AVX2"):
        journal.go_on(kind)
    journal.note({"step": 1.0})
    journal.note({"step": 2.0, "loss": 0.5})
    journal.note({"step": 3.0, "loss": math.nan})
    assert journal.processors == ("AVX2", "AVX512")
    assert journal.history == {"step": [1.0, 2.0, 3.0], "loss": [None, 0.5, None]}
    assert Journal.from_meta(journal.to_meta()) == journal
    older = {
        "history": {"step": [1.0, 2.0], "loss": [0.5]},
        "distil": dataclasses.asdict(journal.distil),
        "upstream": {},
    }
    assert Journal.from_meta(older).history == {"step": [1.0, 2.0], "loss": [0.5, None]}


def test_a_protocol_that_counts_wrongly_fails_its_cell(plan, registries, context, reporter, monkeypatch):
    protocol = registries.protocols.get("tiny")
    right = protocol.evaluate
    monkeypatch.setattr(protocol, "evaluate", lambda *args: dataclasses.replace(right(*args), checkpoints=(1, 7)))
    (planned,) = plan("random")
    record = run_cell(planned, registries, context, reporter)
    assert (record.status, record.evaluations, record.set) == ("failed", (), None)
    assert record.reason == "its figures contradict each other: evaluations[0]: checkpoints[1] is 7 of 6 test clips"
    assert from_json(record.to_json()) == record
