"""``python -m bench run --tune``: what is tried, chosen, recorded and charged; and that test clips have no part in it."""

from __future__ import annotations

import dataclasses

import pytest

from bench.core.frame_order import PROBES
from bench.results.records import RecordStore
from bench.running.engines import engine, one_cell


@pytest.fixture
def run(bench_main, tiny_plugin, tmp_path):
    """Tunes tiny-step in this process, into ``tmp_path / "out"``; later options win over earlier ones."""

    def run(*options):
        return bench_main(
            "run", "--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--methods", "tiny-step", "--out",
            tmp_path / "out", "--plain", "--tune", *options,
        )  # fmt: skip

    return run


@pytest.fixture
def carried_out(monkeypatch, in_process):
    """The cells that were carried out in this process, in their order."""
    cells = []
    original = one_cell.run_cell

    def run_cell(planned, *rest):
        cells.append(planned.cell)
        return original(planned, *rest)

    monkeypatch.setattr(one_cell, "run_cell", run_cell)
    return cells


def records(folder, judged_on):
    return [record for record in RecordStore(folder).all() if record.cell.judged_on == judged_on]


def by_lr(folder):
    """Validation accuracy by learning rate."""
    return {r.cell.config["lr"]: r.evaluations[0].accuracy() for r in records(folder, "validation")}


def snapshot(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# ----------------------------------------------------------------------------------------------------------------------
# A whole search


def test_trials_are_judged_by_the_protocol_that_was_asked_for(run, tmp_path):
    outcome = run("--protocol", "tinier", "--tune-budget", "2")
    assert outcome.code == 0, outcome.err
    assert [record.cell.protocol for record in RecordStore(tmp_path / "out").all()] == ["tinier/3"] * 3


def test_the_best_on_validation_is_run_for_all_seeds_and_nothing_twice(run, carried_out, tmp_path):
    outcome = run("--seeds", "3,4", "--methods", "random,tiny-step")
    assert outcome.code == 0, outcome.err
    out = tmp_path / "out"
    assert set(by_lr(out)) == {0.1, 1.0, 0.01, 10.0, 0.316}
    assert by_lr(out)[1.0] == 1.0 > max(value for lr, value in by_lr(out).items() if lr != 1.0)
    assert {record.cell.seed for record in records(out, "validation")} == {3}
    tuned = [record for record in records(out, "test") if record.cell.method == "tiny-step"]
    assert sorted((record.cell.seed, record.cell.config["lr"]) for record in tuned) == [(3, 1.0), (4, 1.0)]
    assert len(carried_out) == 5 + 2 + 2
    assert "tuned tiny-step · tiny-nearest · ipc 1: lr=1 (100.0 % on validation; 5 trials)" in outcome.err
    assert "tuning: tiny-step · tiny-nearest · ipc 1: trials of lr=0.1; lr=1; lr=0.01" in outcome.err
    assert "[9/9]" in outcome.err
    assert "tune s" in outcome.out
    assert "validation" not in outcome.out

    before = snapshot(out)
    again = run("--seeds", "3,4", "--methods", "random,tiny-step")
    assert (again.code, again.out) == (0, outcome.out)
    assert "9 cells, 0 to run" in again.err
    assert snapshot(out) == before
    assert len(carried_out) == 9


def test_the_record_carries_the_trials_and_what_they_took(run, tmp_path):
    run("--seeds", "0,1")
    out = tmp_path / "out"
    trials = records(out, "validation")
    seconds = sum(cost.wall_seconds for record in trials for cost in record.costs.values())
    for record in records(out, "test"):
        assert record.costs["tune"].wall_seconds == pytest.approx(seconds)
        assert record.costs["tune"].shared
        assert record.tuning["chosen"] == {"factor": 10.0, "values": {"lr": 1.0}}
        assert {entry["cell"] for entry in record.tuning["trials"]} == {trial.id for trial in trials}
        assert {entry["values"]["lr"]: entry["accuracy"] for entry in record.tuning["trials"]} == by_lr(out)
    for trial in trials:
        assert (trial.tuning, "tune" in trial.costs) == (None, False)


def test_poisoned_test_clips_change_no_choice(run, tmp_path):
    clean, poisoned = tmp_path / "clean", tmp_path / "poisoned"
    run("--datasets", "tiny-nearest[train=8]", "--out", clean)
    run("--datasets", "tiny-nearest[train=8,swapped=true]", "--out", poisoned)
    assert by_lr(clean) == by_lr(poisoned)
    (before,), (after,) = records(clean, "test"), records(poisoned, "test")
    assert before.cell.config == after.cell.config
    assert before.cell.config["lr"] == 1.0
    # By the poisoned clips this is the worst that could be chosen.
    assert (before.evaluations[0].accuracy(), after.evaluations[0].accuracy()) == (1.0, 0.0)


def test_trials_take_no_probes_and_a_choice_at_the_edge_is_told(run, tmp_path):
    outcome = run("--tune-budget", "3")
    out = tmp_path / "out"
    assert [record.evaluations[0].probes for record in records(out, "validation")] == [{}, {}, {}]
    assert all(record.motion is None and "probe" not in record.costs for record in records(out, "validation"))
    (tuned,) = records(out, "test")
    assert tuned.motion is not None
    assert "trial of lr=" in outcome.err
    assert "this is the largest that was tried: a larger --tune-budget looks further" in outcome.err


def test_without_probes_a_run_has_the_same_figures_and_none_of_theirs(bench_main, tiny_plugin, tmp_path):
    found = []
    for name, options in (("with", ()), ("without", ("--no-probes",))):
        outcome = bench_main(
            "run", "--plugin", tiny_plugin, "--protocol", "tinier", "--datasets", "tiny", "--methods", "random", "--out",
            tmp_path / name, *options,
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        found += RecordStore(tmp_path / name).all()
    probed, plain = found
    assert probed.id == plain.id
    assert probed.motion is not None
    assert plain.motion is None
    assert [e.confusion for e in probed.evaluations] == [e.confusion for e in plain.evaluations]
    assert (set(probed.evaluations[0].probes), set(plain.evaluations[0].probes)) == (set(PROBES), set())
    assert bench_main("table", "--by", "probes", "--out", tmp_path / "without").code == 0


def test_each_budget_is_tuned_by_itself(run, tmp_path):
    assert run("--ipc", "1,2", "--tune-budget", "3").code == 0
    assert {record.cell.ipc for record in records(tmp_path / "out", "test")} == {1, 2}
    assert len(records(tmp_path / "out", "validation")) == 6
    for record in records(tmp_path / "out", "test"):
        assert len(record.tuning["trials"]) == 3
        assert not record.costs["tune"].shared


def test_a_larger_budget_goes_on_from_the_trials_there_are(run, carried_out, tmp_path):
    run("--tune-budget", "3")
    assert len(carried_out) == 3 + 1
    run("--tune-budget", "5")
    assert len(carried_out) == 3 + 1 + 2
    (record,) = records(tmp_path / "out", "test")
    assert len(record.tuning["trials"]) == 5


def test_several_jobs_find_the_same(run, tmp_path):
    run("--out", tmp_path / "alone", "--ipc", "1,2", "--tune-budget", "3")
    outcome = run("--jobs", "2", "--ipc", "1,2", "--tune-budget", "3")
    assert outcome.code == 0, outcome.err
    one, two = ({r.id: r.evaluations for r in RecordStore(tmp_path / name).all()} for name in ("alone", "out"))
    assert one == two
    assert len(one) == 2 * (3 + 1)


# ----------------------------------------------------------------------------------------------------------------------
# Records that are there already


def test_a_recorded_cell_is_told_how_it_was_tuned_and_not_run_again(
    run, bench_main, tiny_plugin, carried_out, tmp_path
):
    out = tmp_path / "out"
    options = ["--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--methods", "tiny-step", "--out", out]
    bench_main("run", *options, "--set", "tiny-step.lr=1")
    (before,) = RecordStore(out).all()
    assert before.tuning is None
    run("--set", "tiny-step.lr=1")
    assert len(carried_out) == 1 + 5
    (after,) = records(out, "test")
    assert after.tuning["chosen"] == {"factor": 1.0, "values": {"lr": 1.0}}
    assert set(after.costs) == {*before.costs, "tune"}
    assert dataclasses.replace(after, tuning=None, costs=before.costs) == before


def test_a_validation_cell_that_was_run_by_hand_is_a_trial(run, bench_main, tiny_plugin, carried_out, tmp_path):
    options = [
        "--plugin",
        tiny_plugin,
        "--datasets",
        "tiny-nearest",
        "--methods",
        "tiny-step",
        "--out",
        tmp_path / "out",
    ]
    bench_main("run", *options, "--set", "tiny-step.lr=1", "--judge-on", "validation")
    run()
    assert len(carried_out) == 1 + 4 + 1


def test_resume_never_runs_and_writes_nothing(run, tmp_path):
    outcome = run("--resume", "never")
    assert outcome.code == 0
    assert "1 of" not in outcome.err
    assert list(RecordStore(tmp_path / "out").all()) == []
    run()
    (record,) = records(tmp_path / "out", "test")
    RecordStore(tmp_path / "out").write(dataclasses.replace(record, tuning=None))
    before = snapshot(tmp_path / "out")
    assert "tiny-step" in run("--resume", "never").out
    assert snapshot(tmp_path / "out") == before


def test_resume_always_runs_every_trial_and_cell_once_more(run, carried_out):
    run()
    assert run("--resume", "always").code == 0
    assert len(carried_out) == 2 * (5 + 1)


# ----------------------------------------------------------------------------------------------------------------------
# What fails and what is cut short


def test_a_trial_that_fails_is_the_worst_and_no_failure_of_the_run(run, tmp_path):
    outcome = run("--set", "tiny-step.lr=1e36", "--tune-budget", "3")
    assert outcome.code == 0, outcome.err
    statuses = {r.cell.config["lr"]: r.status for r in records(tmp_path / "out", "validation")}
    assert statuses[1e37] == "failed"
    (record,) = records(tmp_path / "out", "test")
    (failed,) = (entry for entry in record.tuning["trials"] if entry["values"]["lr"] == 1e37)
    assert (failed["accuracy"], failed["status"]) == (None, "failed")
    assert "not finite" in failed["reason"]
    assert record.tuning["chosen"]["values"]["lr"] != 1e37
    assert "1 of them failed" in outcome.err


def test_failed_trials_are_tried_again_once_if_asked(run, carried_out):
    options = ["--set", "tiny-step.lr=1e36", "--tune-budget", "3"]
    run(*options)
    assert len(carried_out) == 4
    assert run(*options, "--resume", "failed").code == 0
    assert [cell.config["lr"] for cell in carried_out[4:]] == [1e37]


def test_where_every_trial_fails_the_given_value_is_run_and_fails(run, tmp_path):
    outcome = run("--set", "tiny-step.lr=1e42", "--tune-budget", "4")
    assert outcome.code == 1
    (record,) = records(tmp_path / "out", "test")
    assert (record.status, record.cell.config["lr"]) == ("failed", 1e42)
    assert [entry["factor"] for entry in record.tuning["trials"]] == [1.0, 10.0, 0.1, 0.01]
    assert "no trial gave a score; 4 trials, 4 of them failed" in outcome.err


@pytest.mark.parametrize("number", [1, 3, 4, 6])
def test_after_ctrl_c_the_same_command_goes_on(run, carried_out, monkeypatch, tmp_path, number):
    unbroken = run("--out", tmp_path / "unbroken")
    carried_out.clear()
    working = one_cell.run_cell

    def interrupted(planned, *rest):
        if len(carried_out) == number - 1:
            raise KeyboardInterrupt
        return working(planned, *rest)

    monkeypatch.setattr(one_cell, "run_cell", interrupted)
    first = run()
    assert first.code == 130
    assert ("tuned" in first.err) == (number > 5)
    monkeypatch.setattr(one_cell, "run_cell", working)
    assert run().code == unbroken.code == 0
    assert len(carried_out) == 5 + 1
    assert by_lr(tmp_path / "out") == by_lr(tmp_path / "unbroken")
    (one,), (two,) = records(tmp_path / "out", "test"), records(tmp_path / "unbroken", "test")
    assert (one.id, one.evaluations) == (two.id, two.evaluations)
    assert one.tuning["chosen"] == two.tuning["chosen"]


def test_a_time_limit_leaves_the_search_for_later(run, carried_out, tmp_path):
    outcome = run("--limit-minutes", "1e-9")
    assert outcome.code == 1
    assert "time limit of 1e-09 minutes reached; the same command goes on from here" in outcome.err
    assert records(tmp_path / "out", "test") == []
    assert run("--limit-minutes", "30").code == 0
    assert len(records(tmp_path / "out", "test")) == 1


def test_a_time_limit_within_a_search_is_kept(run, carried_out, monkeypatch, tmp_path):
    class Clock:
        """Stands still until the second trial is over."""

        @staticmethod
        def monotonic():
            return 1e9 if len(carried_out) < 2 else 2e9

    monkeypatch.setattr(engine, "time", Clock)
    monkeypatch.setattr("bench.running.session.time", Clock)
    outcome = run("--limit-minutes", "30")
    assert outcome.code == 1
    assert len(carried_out) == 2
    assert records(tmp_path / "out", "test") == []
    assert "time limit of 30 minutes reached" in outcome.err


# ----------------------------------------------------------------------------------------------------------------------
# The plan, and what is refused


def test_a_dry_run_shows_the_trials_that_are_known_and_runs_nothing(run, tmp_path):
    outcome = run("--dry-run", "--seeds", "0,1")
    assert outcome.code == 0
    assert not (tmp_path / "out").exists()
    for value in ("lr=0.1", "lr=1", "lr=0.01"):
        assert f"run; trial of {value}\n" in outcome.out
    assert "run: at most 2 more trials, where the scores lead" in outcome.out
    assert outcome.out.count("run: with what the trials choose") == 2
    assert "7 cells, 7 to run: about " in outcome.out
    assert "at most 5 are trials on the validation part of train, to choose tiny-step.lr" in outcome.out
    assert "at most" not in run("--dry-run", "--tune-budget", "3").out.split("\n\n")[0]
    assert run("--dry-run", "--tune-budget", "2").out.count("trial of") == 2


def test_the_plan_of_a_finished_search_shows_its_choice(run):
    run()
    out = run("--dry-run").out
    assert out.count("keep (recorded: ok); trial of lr=") == 5
    assert out.count("keep (recorded: ok); lr=1, as the trials chose") == 1
    assert "6 cells, 0 to run" in out


def test_the_estimate_counts_the_trials(run):
    def seconds(*options):
        text = run("--dry-run", "--set", "tiny-step.lr=0.5", "--datasets", "tiny-nearest[train=3000]", *options).out
        return int(text.partition("to run: about ")[2].partition(" s on")[0])

    few, many = seconds("--tune-budget", "10"), seconds("--tune-budget", "20")
    assert few > 0
    assert many == pytest.approx(few * 21 / 11, rel=0.2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--judge-on", "validation"],
            "--tune: with --judge-on validation the values would be judged on the clips that",
        ),
        (
            ["--methods", "random,full"],
            "--tune: nothing to tune in random, full (valid: codec-h264, codec-av1, dc, dm, dsa, ",
        ),
        (["--set", "tiny-step.lr=0"], "--tune: tiny-step.lr=0.0 is not a positive number to be scaled"),
        (["--tune-budget", "0"], "argument --tune-budget: '0' is not a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(run, tmp_path, options, words):
    outcome = run(*options)
    assert outcome.code == 2
    assert words in outcome.err.splitlines()[-1]
    assert outcome.err.count("error: ") == 1
    assert not (tmp_path / "out").exists()


def test_a_budget_without_a_search_is_refused(bench_main):
    outcome = bench_main("run", "--tune-budget", "3")
    assert (outcome.code, outcome.err) == (2, "error: --tune-budget: it is the budget of --tune, which is not given\n")
