"""Upstream artefacts: made once, part by part, by whoever needs them first; damaged ones are made again; costs are charged."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time

import pytest
import torch
from filelock import FileLock

from bench.core.reporter import Reporter
from bench.core.signals import Stopped
from bench.results.artefacts import load_set
from bench.results.records import PhaseCost
from bench.running.cell import upstream
from bench.running.cell.cell import run_cell
from bench.running.cell.upstream import PassingArtefact, has_room, open_or_make, part_path, trim

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


def test_it_says_on_which_kinds_of_processor_its_parts_were_made(tmp_path):
    def made_on(kind, parts):
        return open_or_make(tmp_path, "thing", {"a": 1}, parts, Maker(), lambda message: None, processor=kind)[0]

    assert made_on("AVX2", 1).processors() == ["AVX2"]
    assert made_on("AVX512", 1).processors() == ["AVX2"]
    assert made_on("AVX512", 3).processors() == ["AVX2", "AVX512"]


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


def flip(path):
    """Another last bit, which is a tensor's: length and headers are as before."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_part_that_was_changed_is_found_when_it_is_read_and_made_again(tmp_path):
    maker, lines = Maker(), []
    artefact, _ = ask(tmp_path, maker, wait=lines.append)
    for number, read in enumerate(
        [
            lambda: artefact.part(0)["value"][0].tolist(),
            lambda: artefact.rows(1, "value", slice(0, 1))[0].tolist(),
        ]
    ):
        path = part_path(artefact.folder, number)
        flip(path)
        assert read() == [number, number + 1]
        assert lines[number] == f"{path} is damaged; it is now {path.name}.damaged, and is made again"
    flip(part_path(artefact.folder, 1))  # once more, after it was found right
    assert artefact.rows(1, "value", slice(2, 3)).tolist() == [[5, 6]]
    assert maker.made == [0, 1, 2, 0, 1, 1]


def test_a_part_is_read_whole_once_only(tmp_path, monkeypatch):
    artefact, _ = ask(tmp_path, Maker())
    checks = []
    monkeypatch.setattr(upstream, "is_intact", lambda path: checks.append(path.name) or True)
    for number in (0, 1, 0, 0, 1):
        artefact.rows(number, "value", slice(0, 1))
    assert checks == ["000.safetensors", "001.safetensors"]


def test_another_key_is_another_artefact(tmp_path):
    ask(tmp_path, Maker())
    other = Maker()
    ask(tmp_path, other, key={"a": 2})
    assert other.made == [0, 1, 2]


def slow_maker(cache, log, parts=2):
    def make(part, checkpoint):
        with log.open("a") as file:
            file.write(f"{part} {os.getpid()}\n")
        time.sleep(0.2)
        return {"value": torch.tensor([part])}, COST

    ask(cache, make, parts=parts)


def test_ten_that_ask_at_once_make_it_once(tmp_path):
    fork = multiprocessing.get_context("fork")
    asking = [fork.Process(target=slow_maker, args=(tmp_path, tmp_path / "log")) for _ in range(4)]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(line.split()[0] for line in (tmp_path / "log").read_text().splitlines()) == ["0", "1"]


def test_parts_that_someone_else_makes_are_waited_for_while_the_others_are_made(tmp_path):
    fork = multiprocessing.get_context("fork")
    asking = [fork.Process(target=slow_maker, args=(tmp_path, tmp_path / "log", 6)) for _ in range(2)]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(part for part, _ in lines) == list("012345")
    assert len({maker for _, maker in lines}) == 2  # both worked


def test_those_unused_for_longest_make_room(tmp_path):
    old, new, current = (ask(tmp_path, Maker(), key={"a": name})[0] for name in ("old", "new", "current"))
    for age, artefact in ((300, old), (200, new), (100, current)):
        os.utime(artefact.folder, (time.time() - age,) * 2)
    size = sum(path.stat().st_size for path in old.folder.glob("*"))
    trim(tmp_path, 2 * size, current.folder)
    assert old.folder.exists()  # two beside the current one may stay
    trim(tmp_path, 2 * size - 1, current.folder)
    assert (old.folder.exists(), new.folder.exists(), current.folder.exists()) == (False, True, True)
    with FileLock(new.folder / "001.lock"):
        trim(tmp_path, 0, current.folder)
        assert new.folder.exists()  # a part of it is being made
    trim(tmp_path, 0, current.folder)
    assert not new.folder.exists()
    assert new.part(1)["value"][0].tolist() == [1, 2]  # made again
    assert old.rows(2, "value", slice(0, 1)).tolist() == [[2, 3]]


def test_what_does_not_fit_is_not_kept(tmp_path):
    assert has_room(tmp_path / "new", 1000, 1000)
    assert not has_room(tmp_path, 1001, 1000)
    assert not has_room(tmp_path, 1 << 60, 1 << 62)  # no disk is as large
    made = []

    def make(part):
        made.append(part)
        return {"value": torch.arange(3) + part}

    passing = PassingArtefact(make)
    assert [passing.rows(number, "value", slice(1, 2)).item() for number in (0, 0, 1, 1, 0)] == [1, 1, 2, 2, 1]
    assert made == [0, 1, 0]


# ----------------------------------------------------------------------------------------------------------------------
# As cells use it


@pytest.mark.parametrize(
    ("method", "shared"), [("dm", "real-means"), ("dc", "real-gradients"), ("dsa", "real-gradients")]
)
def test_the_real_side_is_made_once_and_serves_every_kind_of_set(plan, registries, context, reporter, method, shared):
    """A cell in company has the record, to the bit, that it has alone."""
    values = {"steps": "2", "batch_real": "4"}
    memory = {"static_steps": "1", "static_batch": "4"}
    kinds = {method: values} | ({f"{method}+sd": {**values, **memory}} if method != "dsa" else {})
    cells = [*plan(*kinds, overrides=kinds, ipcs=(1, 2)), *plan(*kinds, overrides=kinds, settings=("keyframes-2",))]
    assert len(cells) == 3 * len(kinds)
    company = [run_cell(cell, registries, context, reporter) for cell in cells]
    assert [record.status for record in company] == ["ok"] * len(cells)
    assert [record.data["upstream"][shared]["shared"] for record in company] == [False] + [True] * (len(cells) - 1)
    assert len(list((context.cache / "upstream").glob(f"{shared}-[0-9a-f]*"))) == 1
    for number, (cell, record) in enumerate(zip(cells[1:], company[1:], strict=True)):  # the first was alone
        apart = dataclasses.replace(context, cache=context.cache / str(number), out=context.out / str(number))
        alone = run_cell(cell, registries, apart, reporter)
        assert alone.evaluations == record.evaluations
        assert alone.history == record.history
        assert alone.set == record.set
        sets = [load_set(where.out / "artefacts" / cell.cell.id(), registries)[0] for where in (context, apart)]
        for name, tensor in sets[0].tensors().items():
            assert torch.equal(tensor, sets[1].tensors()[name]), name


def test_still_images_serve_every_setting_and_a_real_side_those_that_see_as_many_frames(
    plan, registries, context, reporter
):
    values = {"steps": "2", "batch_real": "4", "static_steps": "1", "static_batch": "4"}
    cells = plan("dm+sd", overrides={"dm+sd": values}, settings=("dense", "keyframes-2", "static"))
    company = [run_cell(cell, registries, context, reporter) for cell in cells]
    shared = [{name: cost["shared"] for name, cost in record.data["upstream"].items()} for record in company]
    assert [own["static-memory"] for own in shared] == [False, True, True]
    assert [own["real-means"] for own in shared] == [False, True, False]
    apart = dataclasses.replace(context, cache=context.cache / "apart", out=context.out / "apart")
    alone = run_cell(cells[2], registries, apart, reporter)
    assert alone.evaluations == company[2].evaluations
    assert alone.history == company[2].history
    assert alone.set == company[2].set


@pytest.mark.parametrize("method", ["static-only", "dm+sd"])
def test_real_frames_of_stage_one_serve_every_number_of_images(
    plan, registries, context, reporter, monkeypatch, method
):
    values = {"static_steps": "3", "static_batch": "4", "static_outer": "2"}
    values |= {"steps": "1", "batch_real": "4"} if method == "dm+sd" else {}
    cells = plan(method, overrides={method: values}, ipcs=(1, 2))
    company = [run_cell(cell, registries, context, reporter) for cell in cells]
    upstream = [record.data["upstream"] for record in company]
    assert [own["real-gradients-of-frames"]["shared"] for own in upstream] == [False, True]
    assert [own["static-memory"]["shared"] for own in upstream] == [False, False]
    assert len(list((context.cache / "upstream").glob("real-gradients-*"))) == 1
    for number, limit in enumerate(("99GiB", "100")):  # as large a cache as need be, and one that keeps no gradients
        monkeypatch.setenv("BENCH_CACHE_LIMIT", limit)
        apart = dataclasses.replace(context, cache=context.cache / str(number), out=context.out / str(number))
        alone = run_cell(cells[1], registries, apart, reporter)
        assert alone.status == "ok", alone.reason
        assert alone.evaluations == company[1].evaluations
        assert ("real-gradients-of-frames" in alone.data["upstream"]) == (limit == "99GiB")
        sets = [load_set(where.out / "artefacts" / cells[1].cell.id(), registries)[0] for where in (context, apart)]
        assert torch.equal(sets[0].tensors()["static"], sets[1].tensors()["static"])


def test_a_real_side_that_is_too_large_for_the_cache_changes_nothing(plan, registries, context, reporter, monkeypatch):
    said = []
    values = {"dm": {"steps": "3", "batch_real": "4"}, "dc": {"steps": "3", "batch_real": "4"}}
    for cell in plan("dm", "dc", overrides=values):
        kept = run_cell(cell, registries, context, reporter)
        monkeypatch.setenv("BENCH_CACHE_LIMIT", "100")
        apart = dataclasses.replace(context, cache=context.cache / "small", out=context.out / "small")
        passing = run_cell(cell, registries, apart, Reporter(lambda *_: None, said.append))
        assert passing.evaluations == kept.evaluations
        assert passing.history == kept.history
        assert "upstream" not in passing.data
        assert list((apart.cache / "upstream").glob("real-*")) == []
        monkeypatch.delenv("BENCH_CACHE_LIMIT")
    assert "real-means would take" in said[0]
    assert "not shared" in said[0]


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
    from bench.methods._experts import Experts

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
            raise Stopped

    with pytest.raises(Stopped):
        run_cell(cell, registries, context, Reporter(step, lambda _: None))
    made = list((context.cache / "upstream").glob("experts-*/*.safetensors"))
    assert [path.name for path in made] == ["000.safetensors"]
    again = run_cell(cell, registries, context, reporter)
    assert again.evaluations == whole.evaluations
    assert again.history == whole.history
    assert again.set == whole.set


def test_stage_one_resumes_from_its_checkpoint(plan, registries, context, reporter, monkeypatch):
    import bench.running.cell.checkpoints

    monkeypatch.setattr(bench.running.cell.checkpoints, "CHECKPOINT_SECONDS", 0.0)
    (cell,) = plan("static-only", overrides={"static-only": {"static_steps": "12", "static_batch": "4"}})
    whole = run_cell(cell, registries, dataclasses.replace(context, cache=context.cache / "other"), reporter)
    steps = []

    def step(phase, done, total, loss):
        if phase == "upstream" and total == 12:  # not the real gradients, ten of which are made at a time
            steps.append(done)
            if steps == [1, 2, 3, 4]:
                raise Stopped

    stopping = Reporter(step, lambda _: None)
    with pytest.raises(Stopped):
        run_cell(cell, registries, context, stopping)
    again = run_cell(cell, registries, context, stopping)
    assert steps == [*range(1, 5), *range(4, 13)]
    assert again.evaluations == whole.evaluations
    assert not list(context.cache.rglob("upstream/*/*partial*"))
