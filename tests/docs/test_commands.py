"""Every command and every line of Python that the README and the documentation show: run as it stands, on small data."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import bench
from bench.cli.main import _parser
from bench.results.records import RecordStore
from bench.testing import conformance
from tests.data import videos

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md")))

# All are run, on a few procedural clips, but these: the first is planned (its cells are other tests' business), the second,
# which would download gigabytes, is parsed.
PLANNED, PARSED = {"run"}, {"data fetch"}

# Data that are not here.
MISSING = {"miniucf", "hmdb51", "hmdb51-all-train", "kinetics400", "ssv2"}

PACKAGE = ROOT / "tests" / "example_package"


@dataclass(frozen=True)
class Shown:
    """A command of a page."""

    page: str
    text: str

    def words(self):
        return shlex.split(self.text.partition(" > ")[0], comments=True)[3:]


def shown(page):
    """The commands in fenced and indented blocks, and those in running text that are whole ones."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fences for line in block.splitlines()]
    lines += [line.strip() for line in text.splitlines() if line.startswith("    python -m bench")]
    lines += re.findall(r"`(python -m bench [^`]+)`", text)
    commands = [part.strip() for line in lines for part in line.split("&&")]
    return [Shown(page.name, command) for command in commands if command.startswith("python -m bench")]


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in shown(page)))


def kind(words):
    return " ".join(words[:2]) if words[0] == "data" else words[0]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_plugin, bench_main):
    """A folder with all that the commands name: own clips, a method, records and a stored set, experiment files."""
    folder = tmp_path_factory.mktemp("workplace")
    for split, clips in (("train", 3), ("test", 1)):
        for label in ("left", "right"):
            for number in range(clips):
                videos.write_numbered(folder / "clips" / split / label / f"{number}.avi", 20 + number)
    source = (ROOT / "baselines" / "random.py").read_text(encoding="utf-8")
    for file, name in (("my_method", "mine"), ("mine", "mine"), ("nearest", "nearest")):
        (folder / f"{file}.py").write_text(source.replace('name = "random"', f'name = "{name}"'), encoding="utf-8")
    shutil.copy(PACKAGE / "distill_example" / "bars.py", folder)
    (folder / "cluster.toml").write_text('partition = "gpu"\njobs = 1\n', encoding="utf-8")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    outcome = bench_main(
        "run", "--plugin", tiny_plugin, "--protocol", "tinier", "--datasets", "shapes-mixed[train=2,test=1]",
        "--methods", "random", "--out", folder / "results",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (record,) = RecordStore(folder / "results").all()
    for machine in "ab":
        shutil.copytree(folder / "results", folder / machine / "results")
    return folder, record.id


def test_there_are_commands_on_every_page_that_should_have_some():
    pages = {command.page for command in COMMANDS}
    assert {"README.md", "data.md", "taxonomy.md", "report.md", "networks.md", "experiments.md", "faq.md"} <= pages
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text[16:60]}")
def test_a_command_that_is_shown_works(command, workplace, bench_main, tiny_plugin, monkeypatch, tmp_path):
    folder, cell = workplace
    monkeypatch.chdir(folder)
    replaced = {
        "CELL": cell, "PATH": "clips", "DIR": "results", "/shared/results": "results", "folder:ucf101-9c": "folder:clips"
    }  # fmt: skip
    words = [
        re.sub("|".join(map(re.escape, replaced)), lambda match: replaced[match[0]], word) for word in command.words()
    ]
    if words[-1] == "--help":
        assert bench_main(*words).code == 0
        return
    parsed = _parser()[0].parse_args(words)  # ends here if there is no such command or option
    if kind(words) in PARSED:
        return
    if kind(words) in PLANNED:
        words += [] if parsed.dry_run else ["--dry-run"]
        if "experiments/paper.toml" in words and not parsed.stand_in:  # there are no such data here
            words += ["--stand-in"]
    if words[0] == "new-method":
        words += ["--into", str(tmp_path)]  # the names are taken here
    if words[0] == "check":
        quick = tuple(check for check in conformance.CHECKS if check.name not in ("workers", "accuracy"))
        monkeypatch.setattr(conformance, "CHECKS", quick)
    if words[0] == "merge":
        words[-1] = str(tmp_path / "results")
    if "pooled" in words:  # as if its package were installed
        monkeypatch.syspath_prepend(PACKAGE)
        words += ["--plugin", str(PACKAGE / "distill_example" / "pooled.py")]
    if words[0] == "export":
        words[-1] = "exported"
    if words[0] in ("evaluate", "show", "export"):
        words += ["--plugin", tiny_plugin]
    if words[0] == "evaluate":
        words += ["--protocol", "tinier"]
    outcome = bench_main(*words)
    assert outcome.code in expected(words), outcome.err
    assert "Traceback" not in outcome.err


def test_the_tutorials_first_plan_has_as_many_cells_as_it_says(bench_main, tmp_path):
    page = ROOT / "docs" / "tutorial.md"
    command = next(each for each in shown(page) if each.text.endswith("--dry-run"))
    said = re.search(r"The plan lists (\d+) \*cells\*", page.read_text(encoding="utf-8"))[1]
    assert f"\n{said} cells, " in bench_main(*command.words(), "--out", tmp_path).out


def expected(words):
    """Exit codes: 2 where data are missing that no test has; 1 or 0 where tables are checked that were written or not."""
    if words[-1] == "--check":
        return (0, 1)
    missing = MISSING & set(words) and (words[0] == "data" or "--root" in words)
    return (2,) if missing or "--without-leaks" in words else (0,)


def python(page):
    """The Python of a page's fenced blocks."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_python_that_is_shown_works(workplace, tiny_plugin, monkeypatch, tmp_path):
    """All blocks of the page one after another, as in a notebook; with the test's own protocol and few clips."""
    folder, cell = workplace
    shutil.copytree(folder / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    original = bench.run

    def small(**options):
        assert options.pop("datasets") == "shapes-mixed[train=20,test=10]"
        return original(
            **{**options, "seeds": 0, "set": {"dm.steps": 2}}, datasets="shapes-mixed[train=2,test=1]",
            plugin=tiny_plugin, protocol="tinier", plain=True,
        )  # fmt: skip

    monkeypatch.setattr(bench, "run", small)
    names: dict[str, object] = {}
    blocks = python("python.md")
    for block in blocks:
        exec(block.replace("CELL", cell), names)
    assert len(blocks) == 4
    assert {record.status for record in names["records"]} == {"ok"}
    assert set(names["frame"].method) == {"random", "dm", "start-clips"}
    clips, labels = next(iter(names["loader"]))
    assert clips.shape[1:] == (3, 8, 32, 32)
    assert len(clips) == len(labels) == len(names["data"])


def test_the_method_that_is_shown_is_the_one_that_is_written(bench_main, tmp_path):
    shown, *_, test = python("new-method.md")
    assert bench_main("new-method", "nearest", "--kind", "coreset", "--into", tmp_path).code == 0
    written = (tmp_path / "nearest.py").read_text(encoding="utf-8")
    lines = [line for line in shown.splitlines() if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    bare = [line.partition("  # ")[0] for line in lines]
    assert len(bare) == 14
    assert [line for line in bare if line not in [entry.partition("  # ")[0] for entry in written.splitlines()]] == []
    compile(test, "test_nearest.py", "exec")
