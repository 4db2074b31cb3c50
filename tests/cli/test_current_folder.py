"""Nothing in the current folder runs unless it is named, and nothing there takes the place of a part of the suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import plugins
from bench.core import paths

ROOT = Path(__file__).parents[2]

TRAPS = ("methods", "baselines", "torch", "numpy", "random", "tempfile", "socket", "rich", "msgspec", "experiments",
         "typing", "dataclasses", "argparse", "json")  # fmt: skip


@pytest.fixture
def trapped(tmp_path):
    """A folder of Python files that end the process that executes them."""
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(f'raise SystemExit("{name}.py was executed")\n')
    for name in ("methods", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'raise SystemExit("{name} was executed")\n')
        (tmp_path / name / "dm.py").write_text("")
    return tmp_path


def test_commands_run_as_in_any_other_folder(trapped, bench_cli, bench_main):
    outcome = bench_cli("list", "methods", cwd=trapped)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == bench_main("list", "methods").out


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 puts the current folder first in worker processes")
def test_worker_processes_run_as_in_any_other_folder(trapped, bench_cli, tiny_plugin):
    outcome = bench_cli(
        "run", "--plugin", tiny_plugin, "--protocol", "tinier", "--datasets", "tiny", "--methods", "random", cwd=trapped
    )
    assert outcome.code == 0, outcome.err


def test_the_suite_s_own_methods_are_found_beside_it_and_leave_the_names_to_others(trapped):
    """PyTorch's examples, OpenAI's ``baselines`` and many a notebook have packages of these names."""
    code = "import bench.methods.dm as dm, bench.notebook, methods; print(dm.__file__, methods.mark)"
    for name in TRAPS:
        (trapped / f"{name}.py").unlink()
    (trapped / "methods" / "__init__.py").write_text("mark = 'their own'\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=trapped, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([".", str(ROOT)])})  # fmt: skip
    assert done.stdout.split(maxsplit=1) == [str(ROOT / "methods" / "dm.py"), "their own\n"], done.stderr


def test_methods_in_the_current_folder_are_the_suite_s_only_in_its_source_tree(trapped, monkeypatch):
    monkeypatch.chdir(trapped)
    assert plugins.package_in(Path("methods")) is None
    monkeypatch.chdir(ROOT)
    assert plugins.package_in(Path("methods")) == "methods"


def test_a_plugin_that_is_named_finds_its_helpers_and_replaces_nothing(trapped, bench_cli):
    (trapped / "helper_of_mine.py").write_text("NAME = 'mine'\n")
    source = (ROOT / "baselines" / "random.py").read_text(encoding="utf-8")
    renamed = source.replace('"random"', "helper_of_mine.NAME").replace(
        "import torch\n", "import helper_of_mine\nimport torch\n"
    )
    (trapped / "mine.py").write_text(renamed)
    outcome = bench_cli("list", "methods", "--plugin", "mine.py", cwd=trapped)
    assert outcome.err == ""
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("mine ")]
    assert line.endswith("mine.py")


def test_an_experiment_file_of_ones_own_wins_over_the_suite_s(tmp_path, monkeypatch, bench_main):
    monkeypatch.chdir(tmp_path)
    for name in ("experiments/smoke.toml", "smoke.toml"):
        outcome = bench_main("run", name, "--dry-run")
        assert outcome.code == 0, outcome.err
    assert bench_main("run", "elsewhere/smoke.toml", "--dry-run").code == 2
    (tmp_path / "smoke.toml").write_text('methods = ["nobody"]\n')
    assert "unknown method 'nobody'" in bench_main("run", "smoke.toml", "--dry-run").err
    assert paths.shipped("experiments/smoke.toml").is_file()
