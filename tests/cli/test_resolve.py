"""``python -m bench run --resolve POINTS``: seeds are added where intervals are wide, told, and never run twice."""

from __future__ import annotations

import re

import pytest

from bench.results.records import RecordStore
from bench.running.engines import one_cell
from bench.tables.leaderboard import leaderboards
from bench.tables.resolve import FIRST


@pytest.fixture
def run(bench_main, tiny_plugin, tmp_path):
    """Runs on tiny clips that are judged without training, into ``tmp_path / "out"``; later options win."""

    def run(*options):
        return bench_main(
            "run", "--plugin", tiny_plugin, "--datasets", "tiny-nearest[test=10]", "--methods", "random,tiny-noise",
            "--no-gain-of-full", "--out", tmp_path / "out", "--plain", *options,
        )  # fmt: skip

    return run


@pytest.fixture
def carried_out(monkeypatch, in_process):
    """The cells that were carried out in this process, in their order."""
    cells = []
    original = one_cell.run_cell

    def run_cell(planned, *rest):
        cells.append((planned.cell.method, planned.cell.seed))
        return original(planned, *rest)

    monkeypatch.setattr(one_cell, "run_cell", run_cell)
    return cells


def records(folder):
    return list(RecordStore(folder).all())


def gain(folder, method):
    """The interval of a method's gain over random."""
    (board,) = leaderboards(records(folder))
    (row,) = [row for row in board.rows if row.method == method]
    return row.figures.gain


def said(outcome):
    return [line for line in outcome.err.splitlines() if line.startswith("resolve: ")]


def test_seeds_are_added_until_the_interval_is_narrow_and_a_second_run_adds_none(run, carried_out, tmp_path):
    outcome = run("--resolve", "7")
    assert outcome.code == 0, outcome.err
    found = gain(tmp_path / "out", "tiny-noise")
    assert found.half_width <= 0.07
    assert found.seeds > FIRST
    assert len(set(carried_out)) == len(carried_out) == 2 * found.seeds
    assert {seed for method, seed in carried_out if method == "random"} == set(range(found.seeds))
    assert f"no interval after 1 seed: adding seeds 1 to {FIRST - 1}" in outcome.err
    last = said(outcome)[-1]
    (width, needed, until) = re.findall(
        r"±([\d.]+) after 8 seeds; ±7 needs about (\d+): adding seeds 8 to (\d+)", outcome.err
    )[0]
    assert float(width) > 7
    assert int(until) == min(int(needed), 16) - 1
    assert re.search(r"resolve: \d+ cells more, about \d+ s", outcome.err)
    assert last.endswith(f"over random: ±{100 * found.half_width:.1f} after {found.seeds} seeds")
    before = list(carried_out)
    again = run("--resolve", "7")
    assert (again.code, carried_out) == (0, before)
    assert said(again)[-1] == last
    assert [r.data.get("added", False) for r in records(tmp_path / "out") if r.cell.seed == 0] == [False, False]
    assert all(r.data["added"] for r in records(tmp_path / "out") if r.cell.seed)


def test_a_run_that_was_stopped_goes_on_with_the_same_seeds(run, carried_out, monkeypatch, tmp_path):
    working = one_cell.run_cell

    def interrupted(planned, *rest):
        if planned.cell.seed == 4:
            raise KeyboardInterrupt
        return working(planned, *rest)

    monkeypatch.setattr(one_cell, "run_cell", interrupted)
    assert run("--resolve", "20").code == 130
    monkeypatch.setattr(one_cell, "run_cell", working)
    outcome = run("--resolve", "20")
    assert outcome.code == 0, outcome.err
    assert len(set(carried_out)) == len(carried_out)
    assert gain(tmp_path / "out", "tiny-noise").half_width <= 0.2
    assert not (tmp_path / "out" / "grids").exists()  # nothing is under way


def test_a_time_limit_ends_it_and_the_same_command_goes_on(run, carried_out, monkeypatch, tmp_path):
    class Clock:
        """Stands still until some of the added cells are over."""

        late = 4

        @classmethod
        def monotonic(cls):
            return 1e9 if len(carried_out) < cls.late else 2e9

    monkeypatch.setattr("bench.running.engines.engine.time", Clock)
    monkeypatch.setattr("bench.running.session.time", Clock)
    outcome = run("--resolve", "20", "--limit-minutes", "30")
    assert (outcome.code, len(carried_out)) == (1, 4)
    assert "time limit of 30 minutes reached; the same command goes on from here" in outcome.err
    Clock.late = 99
    assert run("--resolve", "20", "--limit-minutes", "30").code == 0
    assert len(set(carried_out)) == len(carried_out) == 2 * FIRST


def test_only_the_pairs_that_need_them_get_seeds(run, carried_out, tmp_path):
    """Rows have as many seeds as their own pairs need, and none of the table has a gap."""
    outcome = run("--resolve", "12", "--methods", "random,herding,tiny-noise", "--seeds", "0-2")
    assert outcome.code == 0, outcome.err
    (board,) = leaderboards(records(tmp_path / "out"))
    assert {row.status for row in board.rows} == {"ok"}
    assert all(row.figures.gain.half_width <= 0.12 for row in board.rows if row.method != "random")


def test_a_dry_run_says_how_many_seeds_it_expects(run, carried_out, tmp_path):
    outcome = run("--resolve", "9", "--dry-run")
    assert f"its cells are still to be run; a pair has at least {FIRST} seeds" in outcome.out
    assert run("--seeds", "0-7").code == 0
    ran = len(carried_out)
    outcome = run("--seeds", "0-7", "--resolve", "5", "--dry-run")
    (needed,) = re.findall(r"±[\d.]+ after 8 seeds; ±5 needs about (\d+): adding seeds 8 to 15", outcome.out)
    assert int(needed) > 16
    assert "32 cells, 16 to run" in outcome.out
    assert len(carried_out) == ran


def test_a_cell_that_fails_ends_its_pair(run, carried_out):
    outcome = run("--resolve", "5", "--methods", "random,tiny-broken")
    assert outcome.code == 1
    assert len(carried_out) == 2
    assert said(outcome)[-1].endswith("(tiny-broken · tiny-nearest[test=10] · ipc 1 · seed 0), so no seeds are added")


def test_tuned_values_are_those_of_added_seeds_too(run, carried_out, tmp_path):
    outcome = run("--resolve", "60", "--methods", "random,tiny-step", "--tune", "--tune-budget", "2")
    assert outcome.code == 0, outcome.err
    tuned = [r for r in records(tmp_path / "out") if r.cell.method == "tiny-step" and r.cell.judged_on == "test"]
    assert len(tuned) == FIRST
    assert len({r.cell.config["lr"] for r in tuned}) == 1
    assert all(r.tuning is not None for r in tuned)


def test_without_a_pair_there_is_nothing_to_resolve(run, tmp_path):
    outcome = run("--resolve", "2", "--methods", "tiny-noise")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: --resolve: no pair to compare; add random to --methods, or a method that learns from a start\n"
    )
    assert not (tmp_path / "out" / "cells").exists()
