"""Claims: one owner a cell, takeover of the dead and the silent, and owners that find out."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from bench.results import claims
from bench.results.claims import Claim, ClaimLost, Claims, HeldClaim, me
from bench.results.records import Record, RecordStore
from bench.running.engines import watch as watching
from bench.running.engines.engine import Order, stamp
from bench.running.engines.watch import Watch
from tests.results.racer import race


@pytest.fixture
def place(tmp_path):
    return Claims(tmp_path / "out")


@pytest.fixture
def held(place):
    """A claim of this process on the cell ``a``."""
    claim = place.take("a", "the cell")
    yield claim
    claim.release(True)


def edit(place, cell_id, **fields):
    """Changes what the claim in force says."""
    holder = place.holder(cell_id)
    body = json.loads(place.path(holder).read_text())
    place.path(holder).write_text(json.dumps({**body, **fields}))


def dead_owner():
    """A process that was."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = dataclasses.replace(me(), pid=process.pid, started=claims._started(process.pid))
    assert owner.lives() is True
    process.kill()
    process.wait()
    return owner


def test_a_cell_has_one_owner_until_it_is_released(place, held):
    assert isinstance(held, HeldClaim)
    other = place.take("a", "the cell")
    assert isinstance(other, Claim)
    assert (other.title, other.owner, other.number) == ("the cell", me(), 1)
    assert [claim.cell_id for claim in place.all()] == ["a"]
    held.release(True)
    assert place.holder("a") is None
    assert not (place.folder / "a").exists()


def test_a_cell_given_up_unfinished_is_free_but_remembers_its_owners(place, held):
    held.release(False)
    assert place.holder("a") is None
    again = place.take("a", "the cell")
    assert again.claim.number == 2
    again.release(True)
    assert not (place.folder / "a").exists()


def test_a_dead_owner_is_succeeded_at_once_and_a_living_one_never(place, held):
    edit(place, "a", owner=dataclasses.asdict(dead_owner()))
    taken = place.take("a", "the cell")
    assert taken.claim.number == 2
    assert isinstance(place.take("a", "the cell"), Claim)
    taken.release(True)


def test_a_number_of_a_process_that_is_used_again_is_not_its_former_owner(place, held):
    edit(place, "a", owner=dataclasses.asdict(dataclasses.replace(me(), started=me().started - 1)))
    taken = place.take("a", "the cell")
    assert isinstance(taken, HeldClaim)
    taken.release(True)


def test_an_owner_on_another_machine_is_succeeded_only_when_it_was_seen_silent(place, held):
    edit(place, "a", owner=dataclasses.asdict(dataclasses.replace(me(), machine="elsewhere")), beat=7)
    assert isinstance(place.take("a", "the cell"), Claim)
    assert isinstance(place.take("a", "the cell", silent=(1, 6)), Claim)
    taken = place.take("a", "the cell", silent=(1, 7))
    assert isinstance(taken, HeldClaim)
    taken.release(True)


def test_the_former_owner_finds_out_and_leaves_the_files_alone(place, held, monkeypatch):
    held.check()
    held.progress("distil", 1, 10)
    taken = place.take("a", "the cell", silent=(1, 0))
    with pytest.raises(ClaimLost):
        held.check()
    with pytest.raises(ClaimLost):
        held.progress("distil", 2, 10)
    held.release(True)
    assert place.holder("a").number == 2
    taken.release(True)


def test_an_owner_says_that_it_lives_and_how_far_it_is(place, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    held = place.take("a", "the cell")
    held.progress("distil", 3, 10)
    held.progress("distil", 5, 10)
    seen = wait_for(lambda: (claim := place.holder("a")) is not None and claim.beat >= 2 and claim.step == 5 and claim)
    assert (seen.phase, seen.first_step, seen.total) == ("distil", 3, 10)
    held.progress("evaluate", 1, 4)
    seen = wait_for(lambda: (claim := place.holder("a")).phase == "evaluate" and claim)
    assert (seen.first_step, seen.step) == (1, 1)
    place.take("a", "the cell", silent=place.holder("a").sighting())
    wait_for(lambda: held.lost)
    held.release(True)


def test_a_claim_that_cannot_be_read_is_somebodys(place, held):
    place.path(held.claim).write_text("")
    holder = place.take("a", "the cell")
    assert (holder.owner.host, holder.owner.lives()) == ("unknown", None)
    taken = place.take("a", "the cell", silent=holder.sighting())
    assert taken.claim.number == 2
    taken.release(True)


def test_where_files_cannot_be_linked_claims_hold_all_the_same(place, monkeypatch):
    def no_link(one, other):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    held = place.take("b", "another")
    assert place.take("b", "another").title == "another"
    held.release(True)


def test_what_killed_owners_of_finished_cells_leave_is_swept_away(place):
    for name in ("finished", "unfinished", "alive"):
        place.take(name, name)
    owner = dataclasses.asdict(dead_owner())
    edit(place, "finished", owner=owner)
    edit(place, "unfinished", owner=owner)
    claims.sweep(place.out, lambda cell_id: cell_id != "unfinished")
    assert sorted(folder.name for folder in place.folder.iterdir()) == ["alive", "unfinished"]


def test_of_two_processes_that_race_for_a_hundred_cells_each_cell_has_one(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    start, won = spawn.Barrier(2), spawn.Queue()
    racers = [spawn.Process(target=race, args=(tmp_path, start, name, won)) for name in "ab"]
    for racer in racers:
        racer.start()
    found = dict(won.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert sorted(found["a"] + found["b"], key=int) == [str(number) for number in range(100)]


# ----------------------------------------------------------------------------------------------------------------------
# Waiting for others


@pytest.fixture
def order(plan):
    (planned,) = plan("tiny-noise")
    return Order(planned, stamp(None))


@pytest.fixture
def clock():
    """A clock that stands still until it is set."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def test_a_watched_cell_that_ends_gives_its_record(place, order):
    held = place.take(order.id(), "cell")
    watch = Watch(place.out)
    watch.add(order)
    assert watch.look() == ([], [])
    record = Record(order.planned.cell, "failed", "elsewhere")
    RecordStore(place.out).write(record)
    assert watch.look() == ([record], [])
    assert len(watch) == 0
    held.release(True)


def test_a_watched_cell_whose_old_record_stands_there_is_not_taken_for_ended(place, order):
    old = Record(order.planned.cell, "failed", "long ago")
    RecordStore(place.out).write(old)
    order = dataclasses.replace(order, known=stamp(old))
    held = place.take(order.id(), "cell")
    watch = Watch(place.out)
    watch.add(order)
    assert watch.look() == ([], [])
    held.release(False)
    ended, free = watch.look()
    assert (ended, [entry.id() for entry in free]) == ([], [order.id()])


def test_a_silent_owner_elsewhere_is_given_up_by_the_clock_of_the_watcher_alone(place, order, clock):
    held = place.take(order.id(), "cell")
    elsewhere = dataclasses.asdict(dataclasses.replace(me(), machine="elsewhere"))
    edit(place, order.id(), owner=elsewhere, beat=1, beat_time=0.0, since=0.0)  # its clock says 1970
    watch = Watch(place.out, clock)
    watch.add(order)
    assert watch.look() == ([], [])
    clock.now += claims.SILENT_SECONDS - 1
    assert watch.look() == ([], [])
    edit(place, order.id(), beat=2)
    clock.now += 2
    assert watch.look() == ([], [])  # it has spoken
    clock.now += claims.SILENT_SECONDS
    _, (free,) = watch.look()
    assert free.silent == (1, 2)
    taken = place.take(order.id(), "cell", free.silent)
    assert taken.claim.number == 2
    taken.release(True)
    held.release(True)


def test_who_is_waited_for_is_told(place, held):
    assert watching.who(place.holder("a")) == f"process {me().pid} on {me().host} works on it; waiting for that"


def wait_for(condition):
    end = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value
