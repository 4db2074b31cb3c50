"""The options of a run: the same whether they are words, keys of a file or arguments in Python."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from pathlib import Path

import pytest

import bench
from bench import plugins
from bench.cli import run as command
from bench.core.errors import BenchError, Mistakes
from bench.notebook import run as run_function
from bench.running.options import arguments, experiment
from bench.running.options.options import OPTIONS, RunOptions, joined
from bench.running.options.request import make_request


def of_words(*words):
    """The options of a command line."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options, mistakes = command.read_options(parser.parse_args(list(words)))
    mistakes.tell()
    return options


def of_arguments(**given):
    """The options of a call in Python."""
    mistakes = Mistakes()
    options = joined({}, arguments.read(given, mistakes), mistakes)
    mistakes.tell()
    return options


def of_file(path, text):
    """The options of an experiment file."""
    path.write_text(text, encoding="utf-8")
    mistakes = Mistakes()
    options = joined(experiment.read(path, mistakes), {}, mistakes)
    mistakes.tell()
    return options


def test_nothing_given_is_the_default_everywhere(tmp_path):
    default = RunOptions()
    assert of_words() == of_arguments() == of_file(tmp_path / "a.toml", "") == default
    assert (default.methods, default.seeds, default.out, default.gain_of_full) == (
        ("all",),
        (0,),
        Path("results"),
        True,
    )


def test_every_field_is_an_option_with_help_but_the_one_for_replaced_methods():
    fields = {field.name for field in dataclasses.fields(RunOptions)}
    assert fields - set(OPTIONS) == {"set_if_run"}
    assert all(option.help for option in OPTIONS.values())


@pytest.mark.parametrize(
    ("words", "given", "text"),
    [
        ("--methods random,dm", {"methods": ["random", "dm"]}, 'methods = ["random", "dm"]'),
        ("--methods random,dm", {"methods": "random,dm"}, 'methods = "random,dm"'),
        ("--datasets a[x=1,y=2],b", {"datasets": ("a[x=1,y=2]", "b")}, 'datasets = ["a[x=1,y=2]", "b"]'),
        ("--ipc 1,5-7", {"ipc": [1, "5-7"]}, 'ipc = [1, "5-7"]'),
        ("--ipc 3", {"ipc": 3}, "ipc = 3"),
        ("--seeds 0-2", {"seeds": range(3)}, "seeds = [0, 1, 2]"),
        ("--budget 1MiB,2048", {"budget": ["1MiB", 2048]}, 'budget = ["1MiB", 2048]'),
        ("--storage uint8,float32", {"storage": ["uint8", "float32"]}, 'storage = ["uint8", "float32"]'),
        ("--set dm.lr=3 --set dm.learn=true", {"set": {"dm": {"lr": 3, "learn": True}}}, "[set.dm]\nlr = 3\nlearn = true"),
        ("--set dm+sd.lr=3.5", {"set": {"dm+sd.lr": 3.5}}, '[set."dm+sd"]\nlr = 3.5'),
        ("--set dm.lr=3 --set dc.lr=1", {"set": ["dm.lr=3", "dc.lr=1"]}, "[set.dm]\nlr = 3\n[set.dc]\nlr = 1"),
        ("--plugin a,b.py --plugin c.py", {"plugin": [Path("a,b.py"), "c.py"]}, 'plugin = ["a,b.py", "c.py"]'),
        ("--tune --tune-budget 7", {"tune": True, "tune_budget": 7}, "tune = true\ntune-budget = 7"),
        ("--no-gain-of-full", {"gain_of_full": False}, "gain-of-full = false"),
        ("--limit-minutes 1.5 --jobs 2", {"limit_minutes": 1.5, "jobs": 2}, "limit-minutes = 1.5\njobs = 2"),
        ("--resolve 2.5", {"resolve": 2.5}, "resolve = 2.5"),
        ("--resume always --out a/b", {"resume": "always", "out": Path("a/b")}, 'resume = "always"\nout = "a/b"'),
        ("--engine slurm --cluster c.toml", {"engine": "slurm", "cluster": "c.toml"}, 'engine = "slurm"\ncluster = "c.toml"'),
        ("--root data --precision tf32", {"root": "data", "precision": "tf32"}, 'root = "data"\nprecision = "tf32"'),
    ],
)  # fmt: skip
def test_words_arguments_and_keys_mean_the_same(words, given, text, tmp_path):
    options = of_words(*words.split())
    assert options != RunOptions()
    assert of_arguments(**given) == options
    assert of_file(tmp_path / "a.toml", text) == options


def test_the_function_takes_every_option_by_name_and_the_package_is_that_function():
    named = [
        parameter.name
        for parameter in inspect.signature(run_function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert named == ["experiment", *OPTIONS]
    assert all(f"        {name}: " in inspect.getdoc(run_function).replace("\n    ", "\n        ") for name in named)
    assert callable(bench.run)
    assert inspect.signature(bench.run) == inspect.signature(run_function)


def test_a_start_is_a_hyper_parameter_of_the_methods_that_have_the_choice():
    registries, mistakes = plugins.load(), Mistakes()
    options = RunOptions(methods=("random", "dm", "dc", "dsa", "dc+sd"), start="noise", set={"dsa": {"start": "real"}})
    asked = make_request(options, registries, mistakes)
    mistakes.tell()
    assert asked.overrides == {"dc": {"start": "noise"}, "dsa": {"start": "real"}}  # what is set for a method wins
    make_request(RunOptions(methods=("dm", "dm+sd"), start="noise"), registries, mistakes)
    with pytest.raises(BenchError, match=r"--start noise: none of the methods has the choice \(these have: dc, dsa, "):
        mistakes.tell()
