"""``python -m bench list``: every part, with where it comes from."""

from __future__ import annotations

import pytest

from bench import plugins
from bench.core.temporal import parse_all, presets

KINDS = ("methods", "datasets", "networks", "protocols", "profiles", "settings")


def names(text):
    """First words of the lines of each list."""
    lists = {}
    for line in text.splitlines():
        if line.endswith(":") and line[:-1] in KINDS:
            found = lists.setdefault(line[:-1], [])
        elif line:
            found.append(line.split()[0])
    return lists


def test_everything_there_is_is_listed(bench_main):
    outcome = bench_main("list")
    assert (outcome.code, outcome.err) == (0, "")
    registries = plugins.load()
    listed = names(outcome.out)
    assert tuple(listed) == KINDS
    for kind in ("methods", "datasets", "networks", "protocols"):
        assert listed[kind] == list(getattr(registries, kind).names())
    assert listed["profiles"] == ["quick", "paper"]
    header, *settings = listed["settings"]
    assert header == "name"
    assert settings[: len(presets(16))] == list(presets(16))
    assert {setting.label(16) for setting in parse_all(["taxonomy"], 16)} <= set(settings)


def test_each_line_says_what_it_is_and_where_it_comes_from(bench_main):
    for line in bench_main("list", "methods").out.splitlines()[1:]:
        name, rest = line.split(maxsplit=1)
        summary, where = rest.rsplit(maxsplit=1)
        assert summary.rstrip().endswith(".")
        assert where == plugins.load().methods.origin(name).where


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone(bench_main, kind):
    outcome = bench_main("list", kind)
    assert outcome.code == 0
    assert tuple(names(outcome.out)) == (kind,)
    assert len(names(outcome.out)[kind]) > 1


def test_verbose_shows_hyper_parameters_with_their_sources(bench_main):
    text = bench_main("list", "methods", "--verbose").out
    assert "dm (Zhao & Bilen, WACV 2023)" in text
    assert "defaults: steps=5000, momentum=0.5, batch_real=64, lr=30.0" in text
    assert "--tune searches: lr" in text
    assert "profile=paper, dataset=miniucf, ipc=1: lr=30.0\n" in text
    assert "README; other datasets and IPCs take these if they have none\n" in text
    assert "source: released scripts of Wang et al. 2024" in text
    assert "standard/1: 5 networks; epochs=500, batch=256, lr=0.01" in bench_main("list", "protocols", "--verbose").out
    datasets = bench_main("list", "datasets", "--verbose").out
    assert "folder:PATH[split_seed=0, mirror=False]  (profile quick)" in datasets
    assert "shapes-mixed[frames=None, size=None, train=100, test=25, seed=0]" in datasets


def test_plugins_are_listed_with_their_file_and_broken_ones_with_their_reason(bench_main, tiny_plugin, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no luck')\n")
    lines = bench_main("list", "methods", "--plugin", tiny_plugin, "--plugin", broken).out.splitlines()
    (tiny,) = [line for line in lines if line.startswith("tiny-noise ")]
    assert tiny.endswith(tiny_plugin)
    (line,) = [line for line in lines if line.startswith("broken ")]
    assert "UNAVAILABLE: RuntimeError: no luck" in line
    assert line.endswith(str(broken))


def test_a_wrong_kind_and_a_missing_plugin_are_refused(bench_main):
    outcome = bench_main("list", "method")
    assert outcome.code == 2
    assert "invalid choice: 'method'" in outcome.err
    outcome = bench_main("list", "--plugin", "nothing.py")
    assert (outcome.code, outcome.err) == (2, "error: --plugin: no file 'nothing.py'\n")
