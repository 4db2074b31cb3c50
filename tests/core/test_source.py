"""The source of a module: what means nothing, and which helpers count."""

from __future__ import annotations

import hashlib
import importlib
import sys
import textwrap

import pytest

from bench.core import source


@pytest.fixture
def write(tmp_path):
    """Writes a plugin file; returns its path as text."""

    def write(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def f(x):\n    return (x\n            + 1)  # one more\n", True),
        ('"""What this is."""\ndef f(x):\n    """Adds one."""\n    return x + 1\n', True),
        ("def f(x): return x+1\n", True),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(x, y=1):\n    return x + 1\n", False),
        ("def f(x):\n    return x + 1\nNAME = 'a text that is used'\n", False),
    ],
)
def test_comments_docstrings_and_layout_mean_nothing(text, same):
    assert (source.meaning(text.encode()) == source.meaning(b"def f(x):\n    return x + 1\n")) is same


def test_a_class_of_nothing_but_its_docstring_can_be_read():
    assert source.meaning(b'class A:\n    """Nothing."""\n') == source.meaning(b"class A:\n    pass\n")


@pytest.fixture
def family(write, tmp_path, monkeypatch):
    """A package of three modules of which ``one`` uses ``_shared``; returns the digests of ``one`` and ``two``."""
    monkeypatch.syspath_prepend(tmp_path)

    def digests(shared, use):
        for name in [name for name in sys.modules if name.partition(".")[0] == "family"]:
            del sys.modules[name]
        write("", "family/__init__.py")
        write(shared, "family/_shared.py")
        write(use, "family/one.py")
        write("import torch\n", "family/two.py")
        importlib.invalidate_caches()
        return [source.meaning_digest(importlib.import_module(f"family.{name}")) for name in ("one", "two")]

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield digests
    sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    "use",
    [
        "from family import _shared\n",
        "from family._shared import helper\n",
        "from family._shared import Helper\n",
        "from family._shared import BATCH\n",
        "from . import _shared\n",
        "def late():\n    from family._shared import helper\n    return helper\n",
    ],
    ids=["module", "function", "class", "constant", "relative", "inside a function"],
)
def test_the_meaning_of_a_plugin_follows_what_it_uses_of_its_package(family, use):
    shared = "BATCH = 64\ndef helper(): return {}\nclass Helper: pass\n"
    one, two = family(shared.format(1), use)
    changed, same = family(shared.format(2), use)
    assert one != changed
    assert two == same


def test_a_module_installed_by_itself_does_not_take_in_everybodys_packages(write, tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(folder)
    write("import neighbour_of_lone\n", "site-packages/lone_module.py")
    write("", "site-packages/neighbour_of_lone.py")
    importlib.invalidate_caches()
    assert set(source.sources(importlib.import_module("lone_module"))) == {"lone_module"}


def test_the_source_of_a_coreset_follows_the_features_it_shares(monkeypatch):
    from bench.baselines import _features, herding

    before = source.source_digest(herding)
    untouched = source.source_digest(importlib.import_module("bench.baselines.random"))
    monkeypatch.setattr(_features, "__file__", herding.__file__)
    assert source.source_digest(herding) != before
    assert source.source_digest(importlib.import_module("bench.baselines.random")) == untouched


EVERY_KIND = b"""
from __future__ import annotations
import numpy as np
class A(B, metaclass=C):
    x: int = 1
    @property
    async def f(self, a, /, b=2, *c, d=3.0, **e): return f"{a!r:>{b}} 'quoted' \\"twice\\"" + u"text"
with open("x") as y, z: pass
value = [i for i in range(3) if i] or {1: None, **g} or (lambda: ...)
"""


def test_a_meaning_is_the_same_in_every_version_of_python():
    """Or a plugin's cells would run again after an upgrade."""
    digest = hashlib.sha256(source.meaning(EVERY_KIND)).hexdigest()
    assert digest == "472b556d8552fce4bc4cd86fc273a6a58dff59ff64c5292c113b4d88136b43a9"


# ----------------------------------------------------------------------------------------------------------------------
# Helpers of a file that is in no package


@pytest.fixture
def lone(write, tmp_path, monkeypatch):
    """Imports ``lone_plugin`` of this text, from a folder on the path; returns the names of the modules that count."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def names(text):
        write(text, "lone_plugin.py")
        importlib.invalidate_caches()
        sys.modules.pop("lone_plugin", None)
        return set(source.sources(importlib.import_module("lone_plugin"))) - {"lone_plugin"}

    yield names
    for name in set(sys.modules) - before:
        if name.startswith(("lone_", "deferred_")):
            del sys.modules[name]


def test_the_packages_around_a_helper_count_too(write, lone):
    write("RATE = 1\n", "lone_package/__init__.py")
    write("X = 1\n", "lone_package/deep.py")
    assert lone("from lone_package.deep import X\n") == {"lone_package", "lone_package.deep"}


def test_a_star_brings_in_what_a_package_says_is_everything(write, lone):
    write("__all__ = ['deep']\n", "lone_package/__init__.py")
    write("X = 1\n", "lone_package/deep.py")
    assert lone("from lone_package import *\n") == {"lone_package", "lone_package.deep"}


def test_a_helper_in_a_folder_that_the_plugin_puts_on_the_path_counts(write, lone, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "lib")
    write("X = 1\n", "lib/lone_helper.py")
    assert lone("import lone_helper\n") == {"lone_helper"}
    assert lone("def late():\n    import lone_helper\n") == {"lone_helper"}


def test_a_link_has_the_helpers_beside_its_file(write, lone, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "real")
    write("X = 1\n", "real/lone_helper.py")
    write("import lone_helper\n", "real/plugin.py")
    (tmp_path / "lone_linked.py").symlink_to(tmp_path / "real" / "plugin.py")
    importlib.invalidate_caches()
    assert set(source.sources(importlib.import_module("lone_linked"))) == {"lone_linked", "lone_helper"}


def test_a_folder_named_like_a_library_brings_no_library_in(write, lone):
    write("notes", "json/notes.txt")
    write("notes", "scipy/notes.txt")
    assert lone("import json, scipy.special\nfrom json import decoder\n") == set()


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import lone_newer\nexcept SyntaxError:\n    pass\n",
        "def never():\n    from ....far import away\n",
        f"A = {'+'.join(['1'] * 900)}\n",
    ],
    ids=["a helper that does not parse", "an import beyond the top", "a very long sum"],
)
def test_what_python_bears_is_no_error(write, lone, text):
    write("def broken(:\n", "lone_newer.py")
    assert lone(text) <= {"lone_newer"}
    assert source.meaning(text.encode())
