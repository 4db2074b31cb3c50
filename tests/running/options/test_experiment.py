"""Experiment files: every option as a key, all mistakes at once, and the command line wins; the shipped ones plan and run."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench.cli import run as run_command
from bench.results.records import RecordStore
from bench.running.options.options import OPTIONS

SHIPPED = Path(__file__).parents[3] / "experiments"


@pytest.fixture
def file(tmp_path):
    """Writes an experiment file."""

    def write(text):
        path = tmp_path / "experiment.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def parser():
    """The parser of ``run``."""
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)
    return parser


@pytest.fixture
def parsed(file, parser):
    """The options of a file and words given after it."""

    def parsed(text, *given):
        options, mistakes = run_command.read_options(parser.parse_args([str(file(text)), *given]))
        mistakes.tell()
        return options

    return parsed


def plan_lines(outcome):
    assert outcome.code == 0, outcome.err
    return [line.split() for line in outcome.out.splitlines() if " run" in line and " to run" not in line]


# ----------------------------------------------------------------------------------------------------------------------
# Keys and values


def test_every_kind_of_option_becomes_what_the_command_line_makes_of_it(parsed):
    options = parsed(
        """
        methods = ["random", "dm+sd"]
        datasets = ["shapes-mixed[train=4,test=2]", "shapes-motion"]
        ipc = [1, "5-6"]
        seeds = "0-2"
        profile = "quick"
        judge-on = "validation"
        tune = true
        stand-in = false
        tune-budget = 3
        limit-minutes = 1.5
        plugin = ["a.py", "b.py"]
        out = "elsewhere"
        [set.dm]
        lr = 30
        steps = 5
        [set."dm+sd"]
        learn = true
        """
    )
    assert (options.methods, options.ipc, options.seeds) == (("random", "dm+sd"), (1, 5, 6), (0, 1, 2))
    assert options.datasets == ("shapes-mixed[train=4,test=2]", "shapes-motion")
    assert (options.profile, options.judge_on, options.tune, options.stand_in) == ("quick", "validation", True, False)
    assert (options.tune_budget, options.limit_minutes) == (3, 1.5)
    assert (options.plugin, options.out) == (("a.py", "b.py"), Path("elsewhere"))
    assert options.set == {"dm": {"lr": "30", "steps": "5"}, "dm+sd": {"learn": "true"}}


def test_the_command_line_wins(parsed):
    text = 'methods = "dm"\nseeds = "0-4"\nipc = 5\njobs = 2\n[set.dm]\nlr = 1.0\nsteps = 7\n'
    options = parsed(text, "--seeds", "7", "--jobs=1", "--set", "dm.lr=2")
    assert (options.seeds, options.jobs, options.methods, options.ipc) == ((7,), 1, ("dm",), (5,))
    assert options.set == {"dm": {"lr": "2", "steps": "7"}}
    assert (parsed(text, "--budget", "1MiB").ipc, parsed(text, "--budget=1MiB").budget) == (None, (2**20,))
    assert parsed('budget = "1MiB"', "--ipc", "3").budget is None


def test_hyper_parameters_of_methods_that_are_replaced_have_no_use(bench_main, file, tiny_plugin):
    path = file('methods = ["tiny-step"]\ndatasets = "tiny"\n[set.tiny-step]\nlr = 3.5\n')
    common = ("run", path, "--dry-run", "--plugin", tiny_plugin)
    ids = {row[0] for row in plan_lines(bench_main(*common))}
    assert ids == {row[0] for row in plan_lines(bench_main(*common, "--methods", "tiny-step"))}
    assert ids != {row[0] for row in plan_lines(bench_main(*common, "--set", "tiny-step.lr=1"))}
    assert [row[1] for row in plan_lines(bench_main(*common, "--methods", "random"))] == ["random"]
    path.write_text('methods = ["random"]\ndatasets = "tiny"\n[set.tiny-step]\nlr = 3.5\n')
    outcome = bench_main(*common)
    assert outcome.code == 2
    assert "--set: tiny-step is not among the methods to run (random)" in outcome.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 50_000, "not TOML: nested too deeply"),
        ("seeds = " + "9" * 5000, "not TOML: Exceeds the limit"),
        ("seeds = 0x" + "f" * 5000, "Exceeds the limit"),
        ("set" + ".a" * 5000 + " = 1", "is not a plain value"),
        ("seeds = [" + "1," * 20_000 + "]", "--seeds: a list of 20,000; at most 10,000 can be given"),
        ("timeout = inf", "timeout: 'inf' is not a number of minutes above 0"),
        ('out = "' + "a" * 300 + '"', "is no path: a name in it has 300 bytes"),
        ('out = "a\\u0000b"', "is no path: it holds a zero byte"),
        ("[set.dm]\nsteps = 0", "--set dm: steps='0' is not at least 1; fields: steps (int, at least 1), "),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_too_large_too_long_or_too_deep_is_a_sentence(bench_main, file, text, told):
    outcome = bench_main("run", file(f'methods = "dm"\n{text}'), "--dry-run")
    assert outcome.code == 2
    assert told in outcome.err
    assert len(outcome.err) < 1500


def test_all_keys_and_values_that_are_wrong_are_told_at_once(bench_main, file):
    path = file(
        """
        method = "dm"
        judge_on = "test"
        seeds = 1.5
        ipc = true
        tune = "yes"
        jobs = "two"
        tune-budget = 0
        log = "papper"
        out = ["a", "b"]
        methods = []
        nets = { a = 1 }
        zzz = "red"
        [set]
        dm = 3
        [set.mtt]
        lr = [1, 2]
        """
    )
    outcome = bench_main("run", path, "--dry-run")
    first, *rest = outcome.err.splitlines()
    assert (outcome.code, outcome.out, first) == (2, "", "error: 14 mistakes:")
    for line, words in zip(
        rest,
        (
            "unknown key 'method'; did you mean methods",
            "unknown key 'judge_on'; did you mean judge-on",
            "seeds = 1.5 is not a whole number or text, or a list of these",
            "ipc = true is not a whole number",
            "tune = 'yes' is neither true nor false",
            "jobs = 'two' is not a number",
            "tune-budget: '0' is not a whole number of at least 1",
            "log = 'papper' is none of tensorboard",
            "out = ['a', 'b'] is not text",
            "methods = [] is not text, or a list of these",
            "nets = {'a': 1} is not text",
            "unknown key 'zzz'; valid: methods, datasets, ",
            "set.dm = 3 is not a section [set.METHOD]",
            "set.mtt.lr = [1, 2] is not a plain value",
        ),
        strict=True,
    ):
        assert line.startswith(f"  - {path}: {words}")


def test_what_does_not_exist_is_told_with_what_is_no_key(bench_main, file, tiny_plugin):
    path = file(
        """
        ipcs = 1
        profile = "papper"
        methods = ["random", "dmm", "dm"]
        datasets = ["shapes-mixd", "shapes-motion[trian=3]", "miniucf"]
        seeds = "a-2"
        settings = "keyframe-4"
        nets = ["convnet", "cnn-gru"]
        [set.dm]
        lrr = 3
        steps = "many"
        """
    )
    outcome = bench_main("run", path, "--storage", "int4", "--device", "tpu", "--root", "nowhere", "--dry-run")
    first, *rest = outcome.err.splitlines()
    assert (outcome.code, outcome.out, first) == (2, "", "error: 12 mistakes:")
    for words in (
        "unknown key 'ipcs'; did you mean ipc?",
        "--device: 'tpu' is no device",
        "unknown profile 'papper'; did you mean paper?",
        "unknown method 'dmm'; did you mean dm",
        "unknown dataset 'shapes-mixd'; did you mean shapes-mixed",
        "--datasets shapes-motion: no field 'trian'",
        "--seeds: 'a-2' is not a whole number",
        "--storage: 'int4' is no storage codec",
        "unknown network 'convnet'; did you mean convnet3d",
        "--settings: 'keyframe-4' is no temporal setting",
        "--set dm: ",
        "miniucf: no ",
    ):
        assert len([line for line in rest if words in line]) == 1, words
    (hyper,) = [line for line in rest if "--set dm: " in line]
    assert "no field 'lrr'" in hyper
    assert "steps='many' is not int" in hyper
    # Where no dataset is right, settings and hyper-parameters are looked at all the same.
    outcome = bench_main("run", "--datasets", "shapes", "--settings", "keyframe-4", "--set", "dm.lrr=1")
    assert [line.split(":")[0] for line in outcome.err.splitlines()[1:]] == [
        "  - unknown dataset 'shapes'; did you mean shapes-mixed or shapes-motion? (valid", "  - --settings", "  - --set dm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("methods = ", "experiment.toml: not TOML: "),
        ('ipc = 1\nbudget = "1MiB"', "experiment.toml: 'budget' and 'ipc' exclude each other"),
        ("set = 3", "set is not a section: write [set.METHOD], then FIELD = VALUE"),
        ('experiment = "other.toml"', "unknown key 'experiment'"),
        ('help = "me"', "unknown key 'help'"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_in_a_sentence(bench_main, file, text, words):
    outcome = bench_main("run", file(text), "--dry-run")
    assert outcome.code == 2
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_file_that_is_not_there_is_told(bench_main, tmp_path):
    outcome = bench_main("run", tmp_path / "none.toml")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: experiment file: no file '{tmp_path / 'none.toml'}' (the suite's own: ")
    assert "experiments/paper.toml, experiments/smoke.toml" in outcome.err


def test_the_file_may_stand_anywhere_among_the_options(bench_main, file, tiny_plugin):
    path = file('methods = "tiny-noise"\ndatasets = "tiny"\nseeds = [3, 4]\n')
    options = ("--dry-run", "--plugin", tiny_plugin)
    first = bench_main("run", path, *options)
    assert [row[5] for row in plan_lines(first)] == ["3", "4"]
    assert bench_main("run", *options, path).out == first.out
    assert bench_main("run", "--dry-run", path, *options[1:]).out == first.out
    two = bench_main("run", *options, path, path)
    assert two.code == 2
    assert "unrecognized arguments" in two.err
    assert bench_main("list", path).code == 2
    assert "unrecognized arguments: --nothing" in bench_main("run", path, "--nothing").err


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_done_unless_told_not_to_can_be_told_in_a_file(parsed, wanted):
    assert parsed(f"gain-of-full = {str(wanted).lower()}\n").gain_of_full is wanted
    assert (
        parsed(f"gain-of-full = {str(not wanted).lower()}\n", f"--{'' if wanted else 'no-'}gain-of-full").gain_of_full
        is wanted
    )


def test_every_option_of_run_is_a_key(parser):
    keys = {option.key for option in OPTIONS.values()}
    assert {"methods", "nets", "budget", "resume", "device", "gain-of-full", "protocol", "plain"} <= keys
    assert not {"help", "set-if-run", "experiment"} & keys
    words = {name for action in parser._actions for name in action.option_strings}
    assert words == {f"--{key}" for key in keys} | {"--no-gain-of-full", "--no-controls", "--no-probes", "--help", "-h"}


# ----------------------------------------------------------------------------------------------------------------------
# The shipped ones


@pytest.mark.parametrize(
    ("name", "options", "cells"),
    [
        # on each dataset 9 methods at 2 budgets and 3 seeds, and the full data once
        # and the starts of 6 of them; at IPC 5, and at IPC 1 of Kinetics-400, two methods have the same
        ("paper", ["--stand-in"], 4 * (55 + (6 + 5) * 3) - 3),
        ("cross-architecture", ["--stand-in"], 5 * 3 * (5 + 4)),
        ("taxonomy", [], None),
        ("equal-bytes", [], None),
        ("smoke", [], 3),
    ],
)
def test_a_shipped_experiment_plans(bench_main, tmp_path, name, options, cells):
    outcome = bench_main("run", SHIPPED / f"{name}.toml", "--dry-run", "--out", tmp_path, *options)
    assert outcome.code == 0, outcome.err
    said = outcome.out.splitlines()[-1]
    assert " cells, " in said
    if cells is not None:
        assert said.startswith(f"{cells} cells, {cells} to run")
    assert "skip: random needs" not in outcome.out  # more bytes than there are


def test_nothing_is_shipped_that_is_not_tested():
    assert {path.name for path in SHIPPED.iterdir() if path.name != "__pycache__"} == {
        "paper.toml", "cross-architecture.toml", "taxonomy.toml", "equal-bytes.toml", "smoke.toml", "ucf101_9c.py",
    }  # fmt: skip


def test_the_smallest_runs_for_real(bench_main, tiny_plugin, tmp_path):
    """With a protocol of one network and two updates; `tox -e smoke` runs it as it is."""
    outcome = bench_main(
        "run", SHIPPED / "smoke.toml", "--plugin", tiny_plugin, "--protocol", "tinier", "--out", tmp_path, "--plain"
    )
    assert outcome.code == 0, outcome.err
    records = list(RecordStore(tmp_path).all())
    assert {record.cell.method: record.status for record in records} == {
        "random": "ok", "dm": "ok", "start-clips": "ok"
    }  # fmt: skip
    assert {record.cell.config.get("steps") for record in records} == {None, 20}
    assert {record.data["test"] for record in records} == {120}
