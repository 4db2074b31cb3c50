"""What no source of the suite may do with data from outside: unpickle them, run them, unpack them unchecked."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bench

ROOT = Path(bench.__file__).parent.parent
SOURCES = sorted(path for name in ("bench", "methods", "baselines") for path in (ROOT / name).rglob("*.py"))

# Between a process and the workers it started, through a pipe: never from a file or a network.
# Between a process and those that it starts, never of what lies in a file.
PICKLING = {
    "bench/core/apart.py",
    "bench/data/workers.py",
    "bench/running/engines/worker.py",
    "bench/testing/conformance.py",
}
UNPACKING = {"bench/data/download.py"}

UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}


def findings(source: str) -> set[str]:
    """The forbidden things in a source."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in UNPICKLERS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            found.add(f"import {node.module}")
        elif isinstance(node, ast.Call):
            found |= _of_call(node)
    return found


def _of_call(node: ast.Call) -> set[str]:
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    found = set()
    if name in ("torch.load", "torch.jit.load", "torch.hub.load") and given.get("weights_only") != "True":
        found.add(f"{name} without weights_only=True")
    if given.get("allow_pickle", "False") != "False":
        found.add(f"{name} with allow_pickle")
    if given.get("shell", "False") != "False" or name in ("os.system", "os.popen"):
        found.add("a shell")
    if name in ("eval", "exec"):
        found.add(name)
    if last in ("extractall", "unpack_archive") or (last == "extract" and "tar" in name):
        found.add("unpacking")
    if name == "yaml.load":
        found.add(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_source_neither_unpickles_nor_runs_what_it_reads(path):
    name = path.relative_to(ROOT).as_posix()
    allowed = ({"import pickle"} if name in PICKLING else set()) | ({"unpacking"} if name in UNPACKING else set())
    assert findings(path.read_text(encoding="utf-8")) <= allowed


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("import pickle", "import pickle"),
        ("import os, joblib.memory", "import joblib.memory"),
        ("from pickle import loads", "import pickle"),
        ("torch.load(p)", "torch.load without weights_only=True"),
        ("torch.load(p, weights_only=False)", "torch.load without weights_only=True"),
        ("np.load(p, allow_pickle=True)", "np.load with allow_pickle"),
        ("np.load(p, allow_pickle=flag)", "np.load with allow_pickle"),
        ("subprocess.run(c, shell=True)", "a shell"),
        ("os.system(c)", "a shell"),
        ("eval(t)", "eval"),
        ("tarfile.open(p).extractall()", "unpacking"),
        ("shutil.unpack_archive(p)", "unpacking"),
    ],
)
def test_the_search_finds_what_it_looks_for(source, finding):
    assert findings(source) == {finding}


def test_the_search_lets_what_is_safe_pass():
    assert (
        findings("torch.load(p, weights_only=True)\nnp.load(p, mmap_mode='r')\nmodel.eval()\nsubprocess.run([a])")
        == set()
    )


def test_all_sources_are_searched():
    assert len(SOURCES) > 100
