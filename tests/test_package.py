"""The package that is built: what is in it, and that it does elsewhere what the source tree does."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from bench.tables.published import read

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Where the wheel is unpacked, beside other packages of such names."""
    site = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for other in ("methods", "baselines"):
        (site / other).mkdir()
        (site / other / "__init__.py").write_text(f'raise SystemExit("the other {other}")\n')
    return site


@pytest.fixture
def call(installed, tmp_path):
    """Runs a command line of the installed suite in an empty folder."""

    def called(*words):
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(installed)}, timeout=300,
        )  # fmt: skip

    return called


def in_tree(*folders):
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_the_suite_and_nothing_beside_it(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        script = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt"))).decode()
    inside = {f"bench/{name}" for name in (*in_tree("methods", "baselines", "experiments"), "results/published.csv")}
    assert names == in_tree("bench") | inside
    assert "vdbench = bench.cli.main:command" in script


def test_the_source_distribution_builds_the_same(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = in_tree("bench", "methods", "baselines", "experiments", "tests", "docs", "benchmarks") - in_tree(
        "docs/_build"
    )
    assert wanted <= names
    assert {"results/published.csv", "constraints.txt", "tox.ini", "LICENSE"} <= names


def test_an_installed_suite_has_all_parts_of_the_source_tree(call, bench_main):
    done = call("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == bench_main("list").out


def test_an_installed_suite_runs_and_shows_what_papers_report(call, installed, tmp_path, tiny_plugin):
    assert call("run", "experiments/paper.toml", "--stand-in", "--dry-run").returncode == 0
    assert call("new-method", "mine").returncode == 0
    done = call(
        "run", "--plugin", tiny_plugin, "--plugin", "mine.py", "--protocol", "tinier", "--datasets", "tiny",
        "--methods", "random,mine", "--set", "mine.steps=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["mine.py", "test_mine.py"]
    code = "from pathlib import Path; from bench.tables.published import figures_of; print(len(figures_of(Path('results'))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(installed)})  # fmt: skip
    assert int(done.stdout) == len(read(ROOT / "results" / "published.csv")) > 0
