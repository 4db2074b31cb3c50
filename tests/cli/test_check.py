"""``python -m bench check``: a table of what holds and what does not, and an exit code for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.testing import conformance

BROKEN = Path(__file__).parent.parent / "broken"


@pytest.fixture
def few(monkeypatch):
    """Leaves out the checks that take seconds."""
    kept = tuple(check for check in conformance.CHECKS if check.name not in ("workers", "accuracy", "device"))
    monkeypatch.setattr(conformance, "CHECKS", kept)
    return kept


def rows(text):
    """Check to status."""
    names = sorted((check.name for check in conformance.CHECKS), key=len, reverse=True)
    found = {}
    for line in text.splitlines():
        name = next((name for name in names if line.startswith(f"  {name} ")), None)
        if name is not None:
            found[name] = line[len(name) + 2 :].split()[0]
    return found


def test_a_sound_method_passes_and_says_what_holds(bench_main, few):
    outcome = bench_main("check", "random")
    assert (outcome.code, outcome.err) == (0, "")
    found = rows(outcome.out)
    assert list(found) == [check.name for check in few]
    assert {name for name, status in found.items() if status == "skipped"} == {"gradient", "progress", "resume"}
    assert "skipped  stores no float tensors: nothing is learned" in outcome.out
    assert f"{len(few) - 3} passed, 0 failed, 3 skipped in " in outcome.out


def test_a_file_of_the_suites_own_methods_is_the_method_of_that_name(bench_main, few):
    baselines = Path(conformance.__file__).parent.parent.parent / "baselines"
    outcome = bench_main("check", baselines / "random.py")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"random ({baselines / 'random.py'})\n")


def test_a_failure_is_exit_code_1_with_its_sentence(bench_main, few):
    outcome = bench_main("check", BROKEN / "ignores_ipc.py", "random")
    assert (outcome.code, outcome.err) == (1, "")
    one, other = outcome.out.strip().split("\n\n")
    assert one.startswith(f"broken-ignores-ipc ({BROKEN / 'ignores_ipc.py'})\n")
    assert {name for name, status in rows(one).items() if status == "FAILED"} == {"labels", "ipc", "bytes", "settings"}
    assert "task.ipc says how many to store" in " ".join(one.split())
    assert "FAILED" not in other


def test_debug_raises_what_the_first_failing_check_met(bench_main, few):
    with pytest.raises(ZeroDivisionError, match="no such luck"):
        bench_main("check", BROKEN / "crashes.py", "--debug")
    with pytest.raises(conformance.Violation, match="the classes have"):
        bench_main("check", BROKEN / "ignores_ipc.py", "--debug")


def test_where_no_set_is_made_the_rest_is_skipped(bench_main, few):
    outcome = bench_main("check", BROKEN / "crashes.py")
    assert outcome.code == 1
    found = rows(outcome.out)
    assert found.pop("distils") == "FAILED"
    assert set(found.values()) == {"skipped"}


def test_hyper_parameters_can_be_given(bench_main, few):
    assert "are the same as after none" in " ".join(
        bench_main("check", BROKEN / "learns_nothing.py", "--set", "broken-learns-nothing.steps=3").out.split()
    )
    outcome = bench_main("check", "random", "--set", "steps=3")
    assert (outcome.code, outcome.err) == (2, "error: --set random: no field 'steps'; fields: none\n")
    assert "is not FIELD=VALUE, such as steps=50" in bench_main("check", "dm", "--set", "steps").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["randm"], "unknown method 'randm'; did you mean random"),
        (["nothing.py"], "no file 'nothing.py'"),
        ([__file__], "defines no final subclass of Method, Dataset, Network, Protocol or SyntheticSet"),
        (["data.py"], "data.py defines no method: a final subclass of bench.api.Method with a name"),
        (["syntax.py"], "syntax.py: SyntaxError"),
        ([], "the following arguments are required: NAME|FILE.py"),
    ],
)
def test_what_is_no_method_is_refused(bench_main, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("data.py").write_text(
        "from bench.nets.described.convnets import Network\nclass Net(Network):\n    name = 'net'\n"
        "    def build(self, classes, clip, rng): ...\n    def flops(self, classes, clip): ...\n",
        encoding="utf-8",
    )
    Path("syntax.py").write_text("def broken(:\n", encoding="utf-8")
    outcome = bench_main("check", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err.splitlines()[-1]


def test_a_file_with_two_methods_is_checked_twice_and_needs_a_name_from_python(bench_main, few, tmp_path):
    text = (BROKEN / "ignores_the_seed.py").read_text()
    text += (
        text.partition("class ")[2]
        .join(["\n\nclass Other", ""])
        .replace("IgnoresTheSeed", "", 1)
        .replace("broken-", "other-")
    )
    path = tmp_path / "two.py"
    path.write_text(text)
    outcome = bench_main("check", path)
    assert [line.split()[0] for line in outcome.out.splitlines() if line.endswith(f"({path})")] == [
        "broken-ignores-the-seed", "other-ignores-the-seed",
    ]  # fmt: skip
    with pytest.raises(
        conformance.BenchError, match="defines several methods; name one of them: broken-ignores-the-seed, other-"
    ):
        conformance.check_method(path)
    with pytest.raises(conformance.Violation, match=r"^seeds: four seeds give the same set"):
        conformance.check_method("other-ignores-the-seed", plugin=(str(path),))


@pytest.mark.slow
def test_a_whole_check_in_a_process_of_its_own(bench_cli):
    outcome = bench_cli("check", "dm", timeout=300)
    assert (outcome.code, outcome.err) == (0, "")
    assert rows(outcome.out)["workers"] == rows(outcome.out)["accuracy"] == "passed"
