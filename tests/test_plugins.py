"""Plugins from files and installed packages: found, told apart, and none stops another."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest

from bench import plugins
from bench.api import Method
from bench.core.errors import BenchError

METHOD = """
from bench.api import Method

class {cls}(Method):
    \"\"\"A method.\"\"\"
    name = "{name}"
    def distill(self, task): return task.real_set()
    def stored_bytes(self, work): return 0
    def clip_passes(self, work): return 0.0
"""


@pytest.fixture
def write(tmp_path):
    """Writes a plugin file; returns its path as text."""

    def write(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


@pytest.fixture
def package(tmp_path, monkeypatch, write):
    """Installs a package of the given modules and entry points, the way pip leaves it on disk."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def install(modules, entry_points, dist="distill_extras"):
        for name, text in modules.items():
            write(text, f"{name}.py")
            made.append(name)
        write(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n", f"{dist}-1.2.dist-info/METADATA")
        lines = "\n".join(f"{name} = {target}" for name, target in entry_points.items())
        write(f"[bench.methods]\n{lines}\n", f"{dist}-1.2.dist-info/entry_points.txt")
        importlib.invalidate_caches()

    yield install
    for name in made:
        sys.modules.pop(name, None)


def reason(registries, name):
    return {plugin.name: plugin.reason for plugin in registries.methods.unavailable()}[name]


def test_the_suites_own_parts_are_all_there_and_available():
    registries = plugins.load()
    assert registries.methods.unavailable() == ()
    assert {"full", "herding", "kcenter", "random", "dm"} <= set(registries.methods.names())
    assert {"shapes-motion", "shapes-appearance", "shapes-mixed", "folder", "ucf101", "miniucf"} <= set(
        registries.datasets.names()
    )
    assert {"standard", "quick"} <= set(registries.protocols.names())
    assert {"convnet3d", "convnet3d-small"} <= set(registries.networks.names())
    assert {"dense", "real"} <= set(registries.sets.names())


def test_a_plugin_file_is_one_more_origin(write):
    path = write(METHOD.format(cls="Mine", name="mine"))
    registries = plugins.load([path])
    assert issubclass(registries.methods.get("mine"), Method)
    assert registries.methods.origin("mine").where == path
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "mine"}


def test_one_file_may_hold_several_parts_and_aliases(write):
    text = METHOD.format(cls="One", name="one") + METHOD.format(cls="Two", name="two") + "\nAlias = One\n"
    assert {"one", "two"} <= set(plugins.load([write(text)]).methods.names())


def test_abstract_classes_and_imported_ones_are_no_parts(write):
    text = """
    from baselines.random import Random
    from bench.api import Method

    class Base(Method):
        name = "base"
        def stored_bytes(self, work): return 0
        def clip_passes(self, work): return 0.0

    class Final(Base):
        name = "final"
        def distill(self, task): return task.real_set()
    """
    registries = plugins.load([write(text)])
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "final"}
    assert registries.methods.origin("random").where == "baselines.random"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(BenchError, match=r"--plugin: no file '.*nothing.py'"):
        plugins.load([str(tmp_path / "nothing.py")])


def test_a_part_without_a_name_is_an_error(write):
    path = write(METHOD.format(cls="Mine", name=""))
    with pytest.raises(BenchError, match=r"mine.py: class Mine needs a class attribute 'name' \(a string\)"):
        plugins.load([path])


def test_a_name_that_is_taken_is_an_error_with_both_origins(write):
    path = write(METHOD.format(cls="Mine", name="dm"))
    with pytest.raises(BenchError, match=r"method 'dm' is defined twice: in methods.dm and in .*mine.py"):
        plugins.load([path])


def test_the_same_file_given_twice_counts_once(write):
    path = write(METHOD.format(cls="Mine", name="mine"))
    assert plugins.load([path, path]).methods.names().count("mine") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit('needs a license')", "needs a license"),
        ("x = 1", "defines no final subclass of Method, Dataset, Network, Protocol or SyntheticSet"),
    ],
)
def test_a_plugin_that_cannot_be_used_says_why_and_stops_nobody_else(write, text, words):
    good = write(METHOD.format(cls="Good", name="good"), "good.py")
    registries = plugins.load([write(text, "bad.py"), good])
    assert words in reason(registries, "bad")
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "good"}
    with pytest.raises(BenchError, match=r"method 'bad' \(.*bad.py\) is unavailable"):
        registries.methods.get("bad")


def test_installed_packages_are_found_by_their_entry_points(package):
    package({"distill_extras_a": METHOD.format(cls="Extra", name="extra")}, {"extra": "distill_extras_a"})
    registries = plugins.load()
    assert "extra" in registries.methods.names()
    assert registries.methods.origin("extra").where == "distill_extras 1.2"


def test_entry_points_may_name_classes_of_one_module(package):
    text = METHOD.format(cls="One", name="one") + METHOD.format(cls="Two", name="two")
    package({"distill_extras_b": text}, {"one": "distill_extras_b:One", "two": "distill_extras_b:Two"})
    registries = plugins.load()
    assert {"one", "two"} <= set(registries.methods.names())
    assert registries.methods.unavailable() == ()


def test_a_broken_installed_package_stops_nobody_else(package):
    package(
        {"distill_extras_c": "import no_such_module", "distill_extras_d": METHOD.format(cls="Fine", name="fine")},
        {"broken": "distill_extras_c", "fine": "distill_extras_d"},
    )
    registries = plugins.load()
    assert reason(registries, "broken") == "ModuleNotFoundError: No module named 'no_such_module'"
    assert "fine" in registries.methods.names()


# ----------------------------------------------------------------------------------------------------------------------
# The source hash, part of every cell's identity


def test_the_source_of_a_file_changes_with_its_text_and_not_with_its_line_ends(write):
    text = METHOD.format(cls="Mine", name="mine")
    sources = [
        plugins.load([write(text, "a/mine.py")]).methods.origin("mine").source,
        plugins.load([write(text.replace("\n", "\r\n"), "b/mine.py")]).methods.origin("mine").source,
        plugins.load([write(text + "# a comment\n", "c/mine.py")]).methods.origin("mine").source,
    ]
    assert sources[0] == sources[1]
    assert sources[0] != sources[2]
    assert len(sources[0]) == 64


@pytest.fixture
def family(write, tmp_path, monkeypatch):
    """A plugin package of three modules of which ``one`` uses ``_shared``; returns the hashes of ``one`` and ``two``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "PLUGIN_PACKAGES", (*plugins.PLUGIN_PACKAGES, "family"))

    def hashes(shared, use):
        for name in [name for name in sys.modules if name.partition(".")[0] == "family"]:
            del sys.modules[name]
        write("", "family/__init__.py")
        write(shared, "family/_shared.py")
        write(use, "family/one.py")
        write("import torch\n", "family/two.py")
        importlib.invalidate_caches()
        return [plugins.source_hash(importlib.import_module(f"family.{name}")) for name in ("one", "two")]

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield hashes
    sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    "use",
    [
        "from family import _shared\n",
        "from family._shared import helper\n",
        "from family._shared import Helper\n",
        "from family._shared import BATCH\n",
        "def late():\n    from family._shared import helper\n    return helper\n",
    ],
    ids=["module", "function", "class", "constant", "inside a function"],
)
def test_the_source_of_a_plugin_follows_what_it_uses_of_its_package(family, use):
    shared = "BATCH = 64\ndef helper(): return {}\nclass Helper: pass\n"
    one, two = family(shared.format(1), use)
    changed, same = family(shared.format(2), use)
    assert one != changed
    assert two == same


def test_the_source_of_a_coreset_follows_the_features_it_shares(monkeypatch):
    import baselines._features
    import baselines.herding

    before = plugins.source_hash(baselines.herding)
    untouched = plugins.source_hash(importlib.import_module("baselines.random"))
    monkeypatch.setattr(baselines._features, "__file__", baselines.herding.__file__)
    assert plugins.source_hash(baselines.herding) != before
    assert plugins.source_hash(importlib.import_module("baselines.random")) == untouched
