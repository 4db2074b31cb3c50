"""Listing, planning, tables and help never wait for torch, even with a plugin that imports it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.api import ClipShape
from bench.nets.described.convnets import SmallConvNet3DNetwork
from bench.nets.flops import flops

SCRIPT = """
import contextlib, io, json, sys
from bench.core import lazy
from bench.cli.main import main
heavy = ["torch", "scipy.stats", "av", "pandas", "matplotlib", "pytorchvideo", "dask", "distributed"]
loaded = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        code = main(arguments)
        assert code == 0, (arguments, code)
    assert out.getvalue().strip()
    loaded.append([name for name in heavy if name in sys.modules and lazy.is_loaded(name)])
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module", autouse=True)
def counted():
    """The cache knows what a clip of the tiny dataset takes in its network, as it does from the first plan on."""
    flops(SmallConvNet3DNetwork(), 3, ClipShape(3, 4, 16, 16))


COMMANDS = (
    "--help",
    "--version",
    "run --help",
    "evaluate --help",
    "data check --help",
    "report --help",
    "show --help",
    "export --help",
    "new-method --help",
    "new-method mine --kind set",
    "check --help",
    "status --help",
    "merge --help",
    "list --plugin PLUGIN",
    "list --verbose",
    "run --dry-run --plugin PLUGIN --datasets tiny,shapes-motion --ipc 1,5 --settings dense,static",
    "run --dry-run --datasets miniucf --stand-in",
    "run --dry-run --plugin PLUGIN --datasets tiny --methods dm,tiny-step --tune",
)


@pytest.fixture(scope="module")
def loaded_so_far(tiny_plugin, tmp_path_factory):
    """What one process has loaded after each of the commands, as what is loaded stays."""
    lines = [command.replace("PLUGIN", tiny_plugin).split() for command in COMMANDS]
    return loaded(lines, tmp_path_factory.mktemp("startup"))


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=COMMANDS)
def test_no_heavy_package_is_loaded(number, loaded_so_far):
    assert loaded_so_far[number] == []


@pytest.mark.parametrize("by", ["ipc", "probes"])
def test_a_table_needs_no_torch(finished, tmp_path, by):
    assert "torch" not in loaded([["table", "--by", by, "--out", finished[0]]], tmp_path)[0]


def test_a_report_without_clips_needs_no_torch(finished, tmp_path):
    command = ["report", "--clips", "0", "--out", finished[0], "--to", tmp_path / "a.html"]
    assert "torch" not in loaded([command], tmp_path)[0]


def test_a_finished_run_needs_no_torch(finished, tmp_path):
    out, arguments, _ = finished
    assert "torch" not in loaded([[*arguments, "--out", out]], tmp_path)[0]


@pytest.mark.parametrize("command", ["status --out OUT", "merge OUT --out ALL"])
def test_looking_at_results_and_joining_them_needs_no_torch_and_no_dask(finished, tmp_path, command):
    places = {"OUT": finished[0], "ALL": tmp_path / "all"}
    assert loaded([[places.get(word, word) for word in command.split()]], tmp_path) == [[]]


def loaded(lines, folder):
    """The heavy packages that one process has executed after each of some command lines."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(lines, default=str)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
