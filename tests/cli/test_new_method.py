"""``python -m bench new-method``: files that work at once, and nothing overwritten."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil

import pytest

from bench import plugins
from bench.testing import conformance

KINDS = ("matching", "coreset", "set")
SLOW = ("accuracy", "workers")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_the_contract(bench_main, here, kind):
    outcome = bench_main("new-method", f"my+{kind}", "--kind", kind)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[:2] == [f"wrote my_{kind}.py", f"wrote test_my_{kind}.py"]
    with conformance.rehearse(here / f"my_{kind}.py") as rehearsal:
        assert rehearsal.name == f"my+{kind}"
        checks = [check for check in conformance.CHECKS if check.name not in SLOW]
        assert [result for result in conformance.results(rehearsal, checks) if result.status == "failed"] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_that_are_printed_work(bench_cli, here, tiny_plugin, kind):
    printed = bench_cli("new-method", "mine", "--kind", kind, cwd=here).out
    check, test, run = [line.strip() for line in printed.partition("next:")[2].strip().splitlines()]
    assert (check, test) == ("python -m bench check mine.py", "python -m pytest test_mine.py")
    outcome = bench_cli(*check.split()[3:], cwd=here, timeout=300)
    assert (outcome.code, outcome.out.count(" FAILED ")) == (0, 0)
    words = [*run.split()[3:], "--datasets", "shapes-mixed[train=4,test=2]"]
    words += ["--plugin", tiny_plugin, "--protocol", "tinier"]
    words += ["--set", "mine.steps=2"] if kind != "coreset" else []
    outcome = bench_cli(*words, cwd=here, timeout=300)
    assert outcome.code == 0
    assert re.search(r"^mine +\d", outcome.out, re.MULTILINE)


def test_the_test_that_is_written_runs_every_check(bench_main, here):
    bench_main("new-method", "mine")
    namespace = {"__file__": str(here / "test_mine.py"), "__name__": "test_mine"}
    exec((here / "test_mine.py").read_text(), namespace)
    with conformance.rehearse(here / "mine.py") as rehearsal:
        namespace["test_the_contract"](rehearsal, conformance.CHECKS[0])
    (mark,) = namespace["test_the_contract"].pytestmark
    assert mark.args == ("check", conformance.CHECKS)


def test_where_pytest_is_missing_it_is_to_be_installed_first(bench_main, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pytest" else found(name))
    assert "\n  pip install pytest && python -m pytest test_mine.py\n" in bench_main("new-method", "mine").out


def test_nothing_is_overwritten(bench_main, here):
    (here / "test_mine.py").write_text("mine")
    outcome = bench_main("new-method", "mine")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: new-method: test_mine.py exists and would be overwritten; choose another name or --into DIR\n"
    )
    assert [path.name for path in here.iterdir()] == ["test_mine.py"]
    assert (here / "test_mine.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Mine", "'Mine' is not a valid name; use words of lower-case letters and digits"),
        ("my method", "'my method' is not a valid name"),
        ("../mine", "'../mine' is not a valid name"),
        ("mine-", "'mine-' is not a valid name"),
        ("2d", "'2d' is not a valid name"),
        ("", "'' is not a valid name"),
        ("all", "'all' is taken by the command line (--methods all)"),
        ("dm", "a method 'dm' exists, in methods.dm; choose another name"),
        ("json", "json.py would hide the Python module 'json'"),
        ("torch", "torch.py would hide the Python module 'torch'"),
    ],
)
def test_bad_names_get_one_sentence(bench_main, here, name, words):
    outcome = bench_main("new-method", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: new-method: ")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_a_folder_must_be_there(bench_main):
    outcome = bench_main("new-method", "mine", "--into", "nowhere")
    assert (outcome.code, outcome.err) == (2, "error: --into: no folder 'nowhere'\n")


def test_in_the_folder_of_methods_the_test_goes_beside_the_others(bench_main, here, monkeypatch):
    """A copy of the methods' package stands in for it."""
    package = importlib.import_module("bench.methods")
    shutil.copytree(package.__path__[0], here / "methods", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(package, "__path__", [str(here / "methods")])
    outcome = bench_main("new-method", "freshly-made", "--into", "methods")
    assert outcome.code == 0
    assert outcome.out.splitlines()[:2] == ["wrote methods/freshly_made.py", "wrote tests/test_freshly_made.py"]
    assert "--plugin" not in outcome.out
    assert 'conformance.rehearse("freshly-made")' in (here / "tests/test_freshly_made.py").read_text()
    registries = plugins.load()
    assert registries.methods.origin("freshly-made").where == "methods.freshly_made"
    assert registries.methods.unavailable() == ()


def test_a_name_that_no_file_can_have_is_refused(bench_main, here):
    for name in ("a" * 61, "a" * 300, "9" * 5000):
        outcome = bench_main("new-method", name)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        assert "of at most 60 characters" in outcome.err
    assert list(here.iterdir()) == []
