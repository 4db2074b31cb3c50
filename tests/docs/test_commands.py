"""Every command that the README and the documentation show: it is parsed by the real parser and run on small data."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cli.main import _parser
from bench.store.records import RecordStore
from tests.data import videos

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md")))

# What is run as it stands, on a few procedural clips; `run` is planned, and what fetches or serves is only parsed.
RUN = {"list", "table", "report", "show", "export", "evaluate", "data check"}


# Data that are not here, and a network of a package that is not installed.
MISSING = {"miniucf", "hmdb51", "hmdb51-all-train", "kinetics400", "ssv2"}
ELSEWHERE = {"pooled"}


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
def workplace(tmp_path_factory, tiny_plugin, bench_cli):
    """A folder with all that the commands name: own clips, a method, records and a stored set, experiment files."""
    folder = tmp_path_factory.mktemp("workplace")
    for split, clips in (("train", 3), ("test", 1)):
        for label in ("left", "right"):
            for number in range(clips):
                videos.write_numbered(folder / "clips" / split / label / f"{number}.avi", 20 + number)
    source = (ROOT / "baselines" / "random.py").read_text(encoding="utf-8")
    for file, name in (("my_method", "mine"), ("mine", "mine"), ("nearest", "nearest")):
        (folder / f"{file}.py").write_text(source.replace('name = "random"', f'name = "{name}"'), encoding="utf-8")
    shutil.copy(ROOT / "tests" / "example_package" / "distill_example" / "bars.py", folder)
    (folder / "cluster.toml").write_text('partition = "gpu"\njobs = 1\n', encoding="utf-8")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    outcome = bench_cli(
        "run", "--plugin", tiny_plugin, "--protocol", "tinier", "--datasets", "shapes-mixed[train=2,test=1]",
        "--methods", "random", cwd=folder,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (record,) = RecordStore(folder / "results").all()
    return folder, record.id


def test_there_are_commands_on_every_page_that_should_have_some():
    pages = {command.page for command in COMMANDS}
    assert {"README.md", "data.md", "taxonomy.md", "report.md", "networks.md", "experiments.md", "faq.md"} <= pages
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text[16:60]}")
def test_a_command_that_is_shown_works(command, workplace, bench_main, tiny_plugin, monkeypatch):
    folder, cell = workplace
    monkeypatch.chdir(folder)
    replaced = {"CELL": cell, "PATH": "clips", "DIR": "results", "folder:ucf101-9c": "folder:clips"}
    words = [
        re.sub("|".join(map(re.escape, replaced)), lambda match: replaced[match[0]], word) for word in command.words()
    ]
    if words[-1] == "--help":
        assert bench_main(*words).code == 0
        return
    parsed = _parser()[0].parse_args(words)  # ends here if there is no such command or option
    if words[0] == "run":
        words += [] if parsed.dry_run else ["--dry-run"]
        if "experiments/paper.toml" in words and not parsed.stand_in:  # there are no such data here
            words += ["--stand-in"]
    elif kind(words) not in RUN or ELSEWHERE & set(words):
        return
    if words[0] == "export":
        words[-1] = "exported"
    if words[0] in ("evaluate", "show", "export"):
        words += ["--plugin", tiny_plugin]
    if words[0] == "evaluate":
        words += ["--protocol", "tinier"]
    outcome = bench_main(*words)
    assert outcome.code in expected(words), outcome.err
    assert "Traceback" not in outcome.err


def expected(words):
    """Exit codes: 2 where data are missing that no test has; 1 or 0 where tables are checked that were written or not."""
    if words[-1] == "--check":
        return (0, 1)
    missing = MISSING & set(words) and (words[0] == "data" or "--root" in words)
    return (2,) if missing or "--without-leaks" in words else (0,)
