"""Upstream artefacts: made once, part by part, by whoever needs them first; damaged ones are made again; costs are charged."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time

import pytest
import torch

from bench.cell import run_cell
from bench.store.records import PhaseCost
from bench.task import Reporter
from bench.upstream import open_or_make, part_path

MTT = {"steps": 1, "syn_steps": 1, "max_start_epoch": 2, "experts": 3, "expert_batch": 4, "expert_lr": 0.1}
COST = PhaseCost(2.0, 1.5, 0, 7)


class Maker:
    """Makes parts that hold their own number, and remembers which."""

    def __init__(self, breaks_at=None):
        self.breaks_at = breaks_at
        self.made = []

    def __call__(self, part, checkpoint):
        if part == self.breaks_at:
            raise RuntimeError("the power went out")
        self.made.append(part)
        return {"value": torch.arange(6).view(3, 2) + part}, COST


def ask(cache, make, parts=3, key=None, wait=lambda message: None):
    return open_or_make(cache, "thing", key or {"a": 1}, parts, make, wait)


def test_it_is_made_once_and_read_whole_or_by_rows(tmp_path):
    first, again = Maker(), Maker()
    artefact, cost = ask(tmp_path, first)
    assert first.made == [0, 1, 2]
    assert artefact.part(2)["value"].tolist() == [[2, 3], [4, 5], [6, 7]]
    assert artefact.rows(1, "value", slice(1, 3)).tolist() == [[3, 4], [5, 6]]
    sizes = sum(part_path(artefact.folder, number).stat().st_size for number in range(3))
    assert cost == PhaseCost(6.0, 4.5, 0, 7, shared=False, stored_bytes=sizes)
    assert ask(tmp_path, again)[1] == dataclasses.replace(cost, shared=True)
    assert again.made == []


def test_finished_parts_survive_a_break_and_more_parts_make_only_the_new_ones(tmp_path):
    with pytest.raises(RuntimeError):
        ask(tmp_path, Maker(breaks_at=1))
    second = Maker()
    assert not ask(tmp_path, second, parts=2)[1].shared
    assert second.made == [1]
    third = Maker()
    ask(tmp_path, third, parts=4)
    assert third.made == [2, 3]


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: b"", lambda data: b"\xff" * len(data)])
def test_a_damaged_part_is_made_again(tmp_path, damage):
    artefact, _ = ask(tmp_path, Maker())
    path = part_path(artefact.folder, 1)
    path.write_bytes(damage(path.read_bytes()))
    again = Maker()
    ask(tmp_path, again)
    assert again.made == [1]
    assert artefact.part(1)["value"][0].tolist() == [1, 2]


def test_another_key_is_another_artefact(tmp_path):
    ask(tmp_path, Maker())
    other = Maker()
    ask(tmp_path, other, key={"a": 2})
    assert other.made == [0, 1, 2]


def slow_maker(cache, log):
    def make(part, checkpoint):
        with log.open("a") as file:
            file.write(f"{part}\n")
        time.sleep(0.2)
        return {"value": torch.tensor([part])}, COST

    ask(cache, make, parts=2)


def test_ten_that_ask_at_once_make_it_once(tmp_path):
    fork = multiprocessing.get_context("fork")
    asking = [fork.Process(target=slow_maker, args=(tmp_path, tmp_path / "log")) for _ in range(4)]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
        assert process.exitcode == 0
    assert sorted((tmp_path / "log").read_text().split()) == ["0", "1"]


# ----------------------------------------------------------------------------------------------------------------------
# As cells use it


def test_experts_are_charged_to_every_cell_and_made_by_one(plan, registries, context, reporter):
    values = {name: str(value) for name, value in MTT.items()}
    memory = {"static_steps": "1", "static_batch": "4"}
    (alone,) = plan("mtt", overrides={"mtt": values})
    (memories,) = plan("mtt+sd", overrides={"mtt+sd": {**values, **memory}})
    (more,) = plan("mtt", overrides={"mtt": {**values, "experts": "4"}})
    first, second, third = (run_cell(cell, registries, context, reporter) for cell in (alone, memories, more))
    assert [record.status for record in (first, second, third)] == ["ok", "ok", "ok"], second.reason
    experts = PhaseCost(**first.data["upstream"]["experts"])
    assert not first.costs["upstream"].shared
    assert first.costs["upstream"] == experts
    parameters = 3 * 16 * 27 + 16 + 32 + 16 * 32 * 27 + 32 + 64 + 32 * 32 * 27 + 32 + 64 + 32 * 3 + 3
    assert experts.stored_bytes == pytest.approx(3 * 3 * 4 * parameters, rel=0.02)
    assert second.data["upstream"]["experts"] == dataclasses.asdict(dataclasses.replace(experts, shared=True))
    assert not second.data["upstream"]["static-memory"]["shared"]
    total = sum(cost["wall_seconds"] for cost in second.data["upstream"].values())
    assert second.costs["upstream"].wall_seconds == pytest.approx(total)
    fourth = third.data["upstream"]["experts"]
    assert not fourth["shared"]
    assert fourth["wall_seconds"] > experts.wall_seconds  # three of its experts were there
    assert fourth["stored_bytes"] == pytest.approx(4 / 3 * experts.stored_bytes, rel=0.01)


def test_seconds_of_upstream_are_not_charged_as_distillation(plan, registries, context, monkeypatch):
    from methods._experts import Experts

    make = Experts.make
    monkeypatch.setattr(Experts, "make", lambda self, task, part: (time.sleep(0.5), make(self, task, part))[1])
    (cell,) = plan("mtt", overrides={"mtt": {name: str(value) for name, value in MTT.items()}})
    record = run_cell(cell, registries, context, Reporter(lambda *_: None, lambda _: None))
    assert record.costs["upstream"].wall_seconds > 1.5
    assert record.costs["distil"].wall_seconds < 1.0


def test_a_cell_stopped_in_its_upstream_goes_on_to_the_same_record(plan, registries, context, reporter, tmp_path):
    values = {"mtt": {name: str(value) for name, value in MTT.items()}}
    (cell,) = plan("mtt", overrides=values)
    whole = run_cell(cell, registries, dataclasses.replace(context, cache=tmp_path / "other"), reporter)
    seen = [0]

    def step(phase, *_):
        seen[0] += phase == "upstream"
        if seen[0] == 4:  # in the second expert
            seen[0] = 100
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, registries, context, Reporter(step, lambda _: None))
    made = list((context.cache / "upstream").glob("experts-*/*.safetensors"))
    assert [path.name for path in made] == ["000.safetensors"]
    again = run_cell(cell, registries, context, reporter)
    assert again.evaluations == whole.evaluations
    assert again.history == whole.history
    assert again.set == whole.set


def test_stage_one_resumes_from_its_checkpoint(plan, registries, context, reporter, monkeypatch):
    import bench.task

    monkeypatch.setattr(bench.task, "CHECKPOINT_SECONDS", 0.0)
    (cell,) = plan("static-only", overrides={"static-only": {"static_steps": "6", "static_batch": "4"}})
    whole = run_cell(cell, registries, dataclasses.replace(context, cache=context.cache / "other"), reporter)
    steps = []

    def step(phase, done, total, loss):
        if phase == "upstream":
            steps.append(done)
            if steps == [1, 2, 3, 4]:
                raise KeyboardInterrupt

    stopping = Reporter(step, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, registries, context, stopping)
    again = run_cell(cell, registries, context, stopping)
    assert steps == [1, 2, 3, 4, 4, 5, 6]
    assert again.evaluations == whole.evaluations
    assert not list(context.cache.rglob("upstream/*/*partial*"))
